//! multiqueue2: the broadcast queue, every event to every stream, read in place.

use std::sync::mpsc::{TryRecvError, TrySendError};

use ::multiqueue2::wait::BusyWait;
use ::multiqueue2::{
    BroadcastReceiver, BroadcastSender, BroadcastUniReceiver, broadcast_queue_with,
};

use crate::event::{CAPACITY, Event};
use crate::halves::{Receiver, Sender, insist};

/// Creates a queue with this many streams, each with one reader; nobody is woken.
pub fn fan_out(streams: usize) -> (TrySend, Vec<TryRecvView>) {
    fan_out_of(CAPACITY, streams)
}

/// As [`fan_out`], for events of any size.
pub fn fan_out_of<const WORDS: usize>(
    capacity: usize,
    streams: usize,
) -> (TrySend<WORDS>, Vec<TryRecvView<WORDS>>) {
    let (sender, first) = broadcast_queue_with(capacity as u64, BusyWait::new());
    let mut streams: Vec<_> = (1..streams).map(|_| first.add_stream()).collect();
    streams.push(first);
    let single = |stream: BroadcastReceiver<Event<WORDS>>| match stream.into_single() {
        Ok(stream) => TryRecvView(stream),
        Err(_) => panic!("the stream has one reader"),
    };
    (TrySend(sender), streams.into_iter().map(single).collect())
}

/// `try_send`.
pub struct TrySend<const WORDS: usize = 8>(BroadcastSender<Event<WORDS>>);

impl<const WORDS: usize> Sender<WORDS> for TrySend<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(TrySendError::Disconnected(_)) => panic!("the receivers are gone"),
        });
    }
}

/// `try_recv_view`, which lends the event.
pub struct TryRecvView<const WORDS: usize = 8>(BroadcastUniReceiver<Event<WORDS>>);

impl<const WORDS: usize> Receiver<WORDS> for TryRecvView<WORDS> {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event<WORDS>)) -> usize {
        match self.0.try_recv_view(each) {
            Ok(()) => 1,
            Err((_, TryRecvError::Empty)) => 0,
            Err((_, TryRecvError::Disconnected)) => panic!("the sender is gone"),
        }
    }
}
