//! rtrb: one producer, one consumer.

use ::rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::event::{BATCH, CAPACITY, Event};
use crate::halves::{Patience, Receiver, Sender, insist};

/// Creates a ring that is read one event at a time.
pub fn push_pop() -> (Push, Pop) {
    push_pop_of(CAPACITY)
}

/// As [`push_pop`], for events of any size.
pub fn push_pop_of<const WORDS: usize>(capacity: usize) -> (Push<WORDS>, Pop<WORDS>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (Push(producer), Pop(consumer))
}

/// Creates a ring that is read by reference, all that is there at once.
pub fn push_chunks() -> (Push, Chunks) {
    push_chunks_of(CAPACITY)
}

/// As [`push_chunks`], for events of any size.
pub fn push_chunks_of<const WORDS: usize>(capacity: usize) -> (Push<WORDS>, Chunks<WORDS>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (Push(producer), Chunks(consumer))
}

/// Creates a ring whose batches are copied in as slices.
pub fn slices_chunks() -> (PushSlice, Chunks) {
    let (push, chunks) = push_chunks();
    (PushSlice(push), chunks)
}

/// `push`; a batch is a chunk filled from an iterator.
pub struct Push<const WORDS: usize = 8>(Producer<Event<WORDS>>);

impl<const WORDS: usize> Sender<WORDS> for Push<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| {
            let pushed = self.0.push(event);
            pushed.map_err(|PushError::Full(event)| event)
        });
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        let mut patience = Patience::default();
        loop {
            if let Ok(chunk) = self.0.write_chunk_uninit(BATCH) {
                chunk.fill_from_iter((first..).map(Event::new));
                return;
            }
            std::hint::spin_loop();
            patience.count();
        }
    }
}

/// As [`Push`]; a batch is copied in as one slice.
pub struct PushSlice(Push);

impl Sender for PushSlice {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.send(event);
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        let batch: [Event; BATCH] = std::array::from_fn(|i| Event::new(first + i as u64));
        let mut patience = Patience::default();
        while self.0.0.push_entire_slice(&batch).is_err() {
            std::hint::spin_loop();
            patience.count();
        }
    }
}

/// `pop`: one event at a time, by value.
pub struct Pop<const WORDS: usize = 8>(Consumer<Event<WORDS>>);

impl<const WORDS: usize> Receiver<WORDS> for Pop<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        match self.0.pop() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(_) => 0,
        }
    }
}

/// `read_chunk`: all that is there, by reference.
pub struct Chunks<const WORDS: usize = 8>(Consumer<Event<WORDS>>);

impl<const WORDS: usize> Receiver<WORDS> for Chunks<WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let slots = self.0.slots();
        if slots == 0 {
            return 0;
        }
        let chunk = self.0.read_chunk(slots).expect("the slots are there");
        let (first, second) = chunk.as_slices();
        first.iter().chain(second).for_each(&mut each);
        chunk.commit_all();
        slots
    }
}
