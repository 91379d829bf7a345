//! rtrb: one producer, one consumer.

use ::rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::event::{BATCH, CAPACITY, Event};
use crate::halves::{Patience, Receiver, Sender, insist};

/// Creates a ring that is read one event at a time.
pub fn push_pop() -> (Push, Pop) {
    let (producer, consumer) = RingBuffer::new(CAPACITY);
    (Push(producer), Pop(consumer))
}

/// Creates a ring that is read by reference, all that is there at once.
pub fn push_chunks() -> (Push, Chunks) {
    let (producer, consumer) = RingBuffer::new(CAPACITY);
    (Push(producer), Chunks(consumer))
}

/// Creates a ring whose batches are copied in as slices.
pub fn slices_chunks() -> (PushSlice, Chunks) {
    let (push, chunks) = push_chunks();
    (PushSlice(push), chunks)
}

/// `push`; a batch is a chunk filled from an iterator.
pub struct Push(Producer<Event>);

impl Sender for Push {
    #[inline(always)]
    fn send(&mut self, event: Event) {
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
pub struct Pop(Consumer<Event>);

impl Receiver for Pop {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
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
pub struct Chunks(Consumer<Event>);

impl Receiver for Chunks {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
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
