//! crossfire: the bounded, blocking flavours.

use ::crossfire::{
    BlockingRxTrait, BlockingTxTrait, MTx, Rx, TryRecvError, TrySendError, Tx, detect_backoff_cfg,
    mpsc, spsc,
};

use crate::event::{CAPACITY, Event};
use crate::halves::{Receiver, Sender, insist};

type SpscTx<const WORDS: usize = 8> = Tx<spsc::Array<Event<WORDS>>>;
type SpscRx<const WORDS: usize = 8> = Rx<spsc::Array<Event<WORDS>>>;
type MpscTx = MTx<mpsc::Array<Event>>;
type MpscRx = Rx<mpsc::Array<Event>>;

/// Creates a channel for one producer whose ends never block.
pub fn spsc_trying() -> (TrySend<SpscTx>, TryRecv<SpscRx>) {
    spsc_trying_of(CAPACITY)
}

/// As [`spsc_trying`], for events of any size.
pub fn spsc_trying_of<const WORDS: usize>(
    capacity: usize,
) -> (TrySend<SpscTx<WORDS>>, TryRecv<SpscRx<WORDS>>) {
    // Recommended at the start of a program on virtual machines.
    detect_backoff_cfg();
    let (sender, receiver) = spsc::bounded_blocking(capacity);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel for one producer whose ends block.
pub fn spsc_blocking() -> (Send<SpscTx>, Recv<SpscRx>) {
    spsc_blocking_of(CAPACITY)
}

/// As [`spsc_blocking`], for events of any size.
pub fn spsc_blocking_of<const WORDS: usize>(
    capacity: usize,
) -> (Send<SpscTx<WORDS>>, Recv<SpscRx<WORDS>>) {
    let (TrySend(sender), TryRecv(receiver)) = spsc_trying_of(capacity);
    (Send(sender), Recv(receiver))
}

/// Creates a channel for several producers whose ends never block.
pub fn mpsc_trying() -> (TrySend<MpscTx>, TryRecv<MpscRx>) {
    detect_backoff_cfg();
    let (sender, receiver) = mpsc::bounded_blocking(CAPACITY);
    (TrySend(sender), TryRecv(receiver))
}

/// Creates a channel for several producers whose ends block.
pub fn mpsc_blocking() -> (Send<MpscTx>, Recv<MpscRx>) {
    let (TrySend(sender), TryRecv(receiver)) = mpsc_trying();
    (Send(sender), Recv(receiver))
}

/// `try_send`.
pub struct TrySend<T>(T);

impl<T, const WORDS: usize> Sender<WORDS> for TrySend<T>
where
    T: BlockingTxTrait<Event<WORDS>> + std::marker::Send,
{
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        insist(event, |event| match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => Err(event),
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
        });
    }
}

/// `send`, which blocks.
pub struct Send<T>(T);

impl<T, const WORDS: usize> Sender<WORDS> for Send<T>
where
    T: BlockingTxTrait<Event<WORDS>> + std::marker::Send,
{
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.0.send(event).expect("the receiver is there");
    }
}

/// `try_recv`.
pub struct TryRecv<R>(R);

impl<R, const WORDS: usize> Receiver<WORDS> for TryRecv<R>
where
    R: BlockingRxTrait<Event<WORDS>> + std::marker::Send,
{
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        match self.0.try_recv() {
            Ok(event) => {
                each(&event);
                1
            }
            Err(TryRecvError::Empty) => 0,
            Err(TryRecvError::Disconnected) => panic!("the sender is gone"),
        }
    }
}

/// `recv`, which blocks.
pub struct Recv<R>(R);

impl<R, const WORDS: usize> Receiver<WORDS> for Recv<R>
where
    R: BlockingRxTrait<Event<WORDS>> + std::marker::Send,
{
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        each(&self.0.recv().expect("the sender is there"));
        1
    }
}
