//! Who is served next.

use std::collections::VecDeque;

/// Indices in the order in which they were put in line.
///
/// A place in the line is a number that grows by one for each that is put there.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<u32>,
    /// How many were taken from its front.
    passed: u64,
}

impl Line {
    /// Makes room for the indices below `count`, each of which is in line once at most: a line does not grow later.
    pub(super) fn make_room(&mut self, count: usize) {
        self.waiting
            .reserve(count.saturating_sub(self.waiting.len()));
    }

    #[inline]
    pub(super) fn push(&mut self, index: usize) {
        self.waiting.push_back(index as u32);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<usize> {
        let index = self.waiting.pop_front()?;
        self.passed += 1;
        Some(index as usize)
    }

    /// The place of whoever is put in line next.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.passed + self.waiting.len() as u64
    }

    /// Whether everybody before a place has been taken.
    #[inline]
    pub(super) fn has_passed(&self, place: u64) -> bool {
        self.passed >= place
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.waiting.iter().map(|&index| index as usize)
    }

    /// Takes an index out of the line; tells whether it was there. It counts as taken: the places behind it stay, and
    /// one told before it passes with one index still to be taken.
    pub(super) fn remove(&mut self, index: usize) -> bool {
        let at = self
            .waiting
            .iter()
            .position(|&other| other as usize == index);
        let Some(at) = at else { return false };
        self.waiting.remove(at);
        self.passed += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    fn line(indices: &[usize]) -> Line {
        let mut line = Line::default();
        line.make_room(4);
        indices.iter().for_each(|&index| line.push(index));
        line
    }

    #[test]
    fn first_come_first_served() {
        let mut line = line(&[3, 1, 2]);
        for round in 0..10 {
            assert_eq!(line.pop(), Some([3, 1, 2][round % 3]));
            line.push([3, 1, 2][round % 3]);
        }
        assert_eq!(line.iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn room_is_made_behind_those_in_line() {
        let mut line = line(&[3, 1, 2]);
        assert_eq!(line.pop(), Some(3));
        line.make_room(9);
        line.push(8);
        assert_eq!(line.iter().collect::<Vec<_>>(), [1, 2, 8]);
    }

    #[test]
    fn who_is_taken_out_leaves_the_others_in_order() {
        let mut line = line(&[3, 1, 2]);
        assert!(line.remove(1));
        assert!(!line.remove(1));
        assert_eq!(line.iter().collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn a_place_has_passed_when_all_before_it_are_taken() {
        let mut line = line(&[3, 1]);
        let place = line.end();
        line.push(2);
        assert!(!line.has_passed(place));
        line.pop();
        assert!(!line.has_passed(place));
        line.pop();
        assert!(line.has_passed(place));
    }
}
