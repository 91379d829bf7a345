//! Asking a bus to tell what happens on it.

use super::bus::Bus;
#[cfg(feature = "services")]
use crate::channel::System;
use crate::channel::{SystemEvent, Topic};
#[cfg(feature = "services")]
use crate::sync::Arc;

impl Bus {
    /// The topic on which the bus tells what happens on it; the first call has it tell, from then on and for good.
    ///
    /// Whoever joins a topic after this has returned is told. See [`SystemEvent`] for what else is, and for what it
    /// costs. It is an event topic like others: subscribe with an [`Overflow`](crate::Overflow) that suits, or
    /// observe. Once it was closed, another call opens a new one.
    ///
    /// ```
    /// use ringbus::{Bus, Overflow, SystemChange};
    ///
    /// let bus = Bus::new();
    /// let mut events = bus.system_events().subscribe();
    /// let ticks = bus.topic_builder::<u32>().capacity(4).open()?;
    /// let mut screen = ticks.subscriber().name("screen").overflow(Overflow::DropOldest).open()?;
    /// for tick in 0..10 {
    ///     ticks.publish(tick)?;
    /// }
    /// screen.poll(64, |_, _| {})?;
    ///
    /// let mut lost = 0;
    /// while let Ok(event) = events.try_recv() {
    ///     println!("{event}");
    ///     if let SystemChange::Missed { missed, .. } = event.change {
    ///         lost += missed;
    ///     }
    /// }
    /// assert_eq!(lost, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn system_events(&self) -> Topic<SystemEvent> {
        let topic = self.topic();
        if !self.is_closed() {
            self.registry().system().tell_to(&topic);
        }
        topic
    }

    /// Where floors above tell what happens.
    #[cfg(feature = "services")]
    pub(crate) fn system(&self) -> &Arc<System> {
        self.registry().system()
    }
}
