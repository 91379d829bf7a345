//! Who sends the requests: a real HTTP client.

use std::net::SocketAddr;

use serde_json::Value;

use crate::order::Receipt;
use crate::quote;
use crate::route;
use crate::tally::Tally;

/// In seconds; beyond what the gateway takes for any answer.
const PATIENCE: u64 = 20;

/// A client with its account of what it was answered.
pub(crate) struct Client {
    gateway: SocketAddr,
    pub(crate) tally: Tally,
    /// What was confirmed: how many orders, and of how much.
    pub(crate) sold: (u64, u64),
    /// Answers that were not to be.
    pub(crate) wrong: Vec<String>,
}

/// A request, and what it must be answered with.
struct Case {
    method: minreq::Method,
    url: String,
    expected: Expected,
}

enum Expected {
    Price(u64),
    /// Or a failure, as an order is not sent again.
    Receipt(Receipt),
    Status(u16),
}

impl Client {
    pub(crate) fn new(gateway: SocketAddr) -> Self {
        Self {
            gateway,
            tally: Tally::default(),
            sold: (0, 0),
            wrong: Vec::new(),
        }
    }

    /// Sends one request, and returns the status and the body of its answer.
    pub(crate) fn send(
        &mut self,
        method: minreq::Method,
        url: &str,
    ) -> Result<(u16, Value), minreq::Error> {
        let address = format!("http://{}{url}", self.gateway);
        let response = minreq::Request::new(method, address)
            .with_timeout(PATIENCE)
            .send()?;
        self.tally.count(route::path(url), response.status_code);
        let body = serde_json::from_slice(response.as_bytes()).unwrap_or_default();
        Ok((response.status_code, body))
    }

    /// Sends the request of this number, and notes what is wrong with its answer.
    pub(crate) fn send_numbered(&mut self, number: usize) {
        self.check(Case::of(number));
    }

    /// Asks for a page that must have this status.
    pub(crate) fn expect(&mut self, url: &str, status: u16) {
        self.check(Case {
            method: minreq::Method::Get,
            url: url.to_owned(),
            expected: Expected::Status(status),
        });
    }

    /// Takes another client's account over.
    pub(crate) fn add(&mut self, other: Self) {
        self.tally.add(&other.tally);
        self.sold.0 += other.sold.0;
        self.sold.1 += other.sold.1;
        self.wrong.extend(other.wrong);
    }

    fn check(&mut self, case: Case) {
        let Case {
            method,
            url,
            expected,
        } = case;
        let (status, body) = match self.send(method, &url) {
            Ok(answer) => answer,
            Err(error) => return self.wrong.push(format!("{url}: {error}")),
        };
        if status == 200
            && let Expected::Receipt(receipt) = &expected
        {
            self.sold.0 += 1;
            self.sold.1 += receipt.total;
        }
        if !expected.is(status, &body) {
            self.wrong.push(format!("{url}: {status} {body}"));
        }
    }
}

impl Expected {
    fn is(&self, status: u16, body: &Value) -> bool {
        match self {
            Self::Price(price) => status == 200 && body["price"] == *price,
            Self::Receipt(_) if status == 500 => body["error"].is_string(),
            Self::Receipt(receipt) => {
                status == 200 && serde_json::to_value(receipt).is_ok_and(|receipt| receipt == *body)
            }
            Self::Status(expected) => status == *expected && !body.is_null(),
        }
    }
}

impl Case {
    /// A mix of all there is, the same in each run.
    fn of(number: usize) -> Self {
        use minreq::Method::{Get, Post};
        let (item, price) = quote::PRICES[number % quote::PRICES.len()];
        let name = item.replace(' ', "%20");
        let count = 1 + number as u64 % 7;
        let (method, url, expected) = match number % 20 {
            0..8 => (Get, format!("/quote?item={name}"), Expected::Price(price)),
            8..14 => {
                let receipt = Receipt {
                    item: item.to_owned(),
                    count,
                    total: price * count,
                };
                let url = format!("/order?item={name}&count={count}");
                (Post, url, Expected::Receipt(receipt))
            }
            14 => (Get, "/quote?item=gold".to_owned(), Expected::Status(404)),
            15 => (Get, "/quote".to_owned(), Expected::Status(400)),
            16 => {
                let url = format!("/order?item={name}&count=none");
                (Post, url, Expected::Status(400))
            }
            17 => (
                Get,
                format!("/order?item={name}&count=1"),
                Expected::Status(405),
            ),
            18 => (Get, "/health".to_owned(), Expected::Status(200)),
            _ => (Get, "/services".to_owned(), Expected::Status(200)),
        };
        Self {
            method,
            url,
            expected,
        }
    }
}
