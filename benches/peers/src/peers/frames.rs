//! What collects a frame's events on one thread and lends them to each reader: a plain vector, bevy's
//! messages, shrev.

use bevy_ecs::message::{Message, MessageCursor, Messages};
use shrev::{EventChannel, ReaderId};

use crate::event::Event;

/// A collection of the events of a frame.
pub trait Frame {
    /// Publishes one event.
    fn publish(&mut self, event: Event);

    /// Publishes the events from `first` up to `end` in one operation, where there is one.
    fn publish_all(&mut self, first: u64, end: u64) {
        (first..end).for_each(|sequence| self.publish(Event::new(sequence)));
    }

    /// Hands what is new to this reader to `each`.
    fn read(&mut self, reader: usize, each: impl FnMut(&Event));

    /// Ends the frame.
    fn end(&mut self);
}

/// The floor: a vector that keeps its capacity, and the readers go through all of it.
#[derive(Default)]
pub struct Plain(Vec<Event>);

impl Frame for Plain {
    #[inline(always)]
    fn publish(&mut self, event: Event) {
        self.0.push(event);
    }

    #[inline(always)]
    fn publish_all(&mut self, first: u64, end: u64) {
        self.0.extend((first..end).map(Event::new));
    }

    #[inline(always)]
    fn read(&mut self, _reader: usize, each: impl FnMut(&Event)) {
        std::hint::black_box(&self.0).iter().for_each(each);
    }

    #[inline(always)]
    fn end(&mut self) {
        self.0.clear();
    }
}

impl Message for Event {}

/// `Messages` of bevy_ecs, with a cursor for each reader and an `update` for each frame.
pub struct Bevy {
    messages: Messages<Event>,
    cursors: Vec<MessageCursor<Event>>,
}

/// Creates messages with this many cursors.
pub fn bevy(readers: usize) -> Bevy {
    let messages = Messages::default();
    let cursors = (0..readers).map(|_| messages.get_cursor()).collect();
    Bevy { messages, cursors }
}

impl Frame for Bevy {
    #[inline(always)]
    fn publish(&mut self, event: Event) {
        self.messages.write(event);
    }

    #[inline(always)]
    fn publish_all(&mut self, first: u64, end: u64) {
        self.messages.write_batch((first..end).map(Event::new));
    }

    #[inline(always)]
    fn read(&mut self, reader: usize, each: impl FnMut(&Event)) {
        self.cursors[reader].read(&self.messages).for_each(each);
    }

    #[inline(always)]
    fn end(&mut self) {
        self.messages.update();
    }
}

/// `EventChannel` of shrev, with a reader's identity for each reader.
pub struct Shrev {
    channel: EventChannel<Event>,
    readers: Vec<ReaderId<Event>>,
}

/// Creates a channel with this many readers.
pub fn shrev(readers: usize) -> Shrev {
    let mut channel = EventChannel::with_capacity(crate::event::CAPACITY);
    let readers = (0..readers).map(|_| channel.register_reader()).collect();
    Shrev { channel, readers }
}

impl Frame for Shrev {
    #[inline(always)]
    fn publish(&mut self, event: Event) {
        self.channel.single_write(event);
    }

    #[inline(always)]
    fn publish_all(&mut self, first: u64, end: u64) {
        let count = (end - first) as usize;
        // `iter_write` asks for the exact length, which a range of `u64` does not have.
        self.channel
            .iter_write((0..count).map(|index| Event::new(first + index as u64)));
    }

    #[inline(always)]
    fn read(&mut self, reader: usize, each: impl FnMut(&Event)) {
        self.channel.read(&mut self.readers[reader]).for_each(each);
    }

    #[inline(always)]
    fn end(&mut self) {}
}
