//! Who is served next.

/// Indices in the order in which they were put in line, in a ring that holds all there can be.
///
/// A place in the line is a number that grows by one for each that is put there.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// As many as a power of two.
    ring: Vec<u32>,
    first: u32,
    end: u32,
}

impl Line {
    /// Makes room for the indices below `count`, each of which is in line once at most.
    pub(super) fn make_room(&mut self, count: usize) {
        if self.ring.len() >= count {
            return;
        }
        let waiting: Vec<_> = self.iter().collect();
        self.ring = vec![0; count.next_power_of_two()];
        let first = self.first;
        self.end = first;
        waiting.into_iter().for_each(|index| self.push(index));
    }

    #[inline]
    fn at(&self, place: u32) -> usize {
        place as usize & (self.ring.len().wrapping_sub(1))
    }

    #[inline]
    pub(super) fn push(&mut self, index: usize) {
        let at = self.at(self.end);
        self.ring[at] = index as u32;
        self.end = self.end.wrapping_add(1);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let index = self.ring[self.at(self.first)];
        self.first = self.first.wrapping_add(1);
        Some(index as usize)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// The place of whoever is put in line next.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// Whether everybody before a place has been taken.
    #[inline]
    pub(super) fn has_passed(&self, place: u32) -> bool {
        self.first.wrapping_sub(place).cast_signed() >= 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let count = self.end.wrapping_sub(self.first);
        (0..count).map(|ahead| self.ring[self.at(self.first.wrapping_add(ahead))] as usize)
    }

    /// Takes an index out of the line; tells whether it was there. The others go once through the line for that,
    /// so that every place told before has passed.
    pub(super) fn remove(&mut self, index: usize) -> bool {
        let mut found = false;
        for _ in 0..self.end.wrapping_sub(self.first) {
            match self.pop() {
                Some(other) if other != index => self.push(other),
                _ => found = true,
            }
        }
        found
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
