//! A thread between HTTP and the bus.

use std::time::Duration;

use ringbus::{Bus, Client, ServiceError};
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::order::{self, Order};
use crate::page;
use crate::quote::{self, Quote};
use crate::route::{self, Route};
use crate::tally::Tally;

/// Answers one HTTP request at a time.
pub(crate) struct Acceptor {
    bus: Bus,
    quotes: Client<Quote>,
    orders: Client<Order>,
    /// How long a call may take.
    patience: Duration,
}

impl Acceptor {
    pub(crate) fn new(bus: &Bus, patience: Duration) -> Result<Self, ServiceError> {
        Ok(Self {
            bus: bus.clone(),
            quotes: bus.client_builder().service(quote::SERVICE).open()?,
            orders: bus.client_builder().service(order::SERVICE).open()?,
            patience,
        })
    }

    /// Answers until it is told that there is nothing more; tells what it has answered.
    pub(crate) fn run(self, http: &tiny_http::Server) -> Tally {
        let mut tally = Tally::default();
        for request in http.incoming_requests() {
            let answer = self
                .answer(request.method().as_str(), request.url())
                .unwrap_or_else(|refusal| refusal);
            // Whom it does not reach has gone, and counts no answer.
            let (path, status) = (route::path(request.url()), answer.status);
            if answer.send(request).is_ok() {
                tally.count(path, status);
            }
        }
        tally
    }

    fn answer(&self, method: &str, url: &str) -> Result<Answer, Answer> {
        Ok(match Route::parse(method, url)? {
            Route::Quote(quote) => {
                let item = quote.item.clone();
                let price = self.quotes.call_again(quote, self.patience, 2);
                let price = price.map_err(Failure::from)??;
                Answer::new(200, json!({ "item": item, "price": price }))
            }
            Route::Order(order) => {
                let receipt = self.orders.call(order, self.patience);
                Answer::new(200, receipt.map_err(Failure::from)??)
            }
            Route::Health => page::health(&self.bus),
            Route::Services => page::services(&self.bus),
        })
    }
}
