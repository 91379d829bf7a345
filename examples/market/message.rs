//! One line of a capture: `<receive time, ns since 1970> <JSON as the exchange sent it>`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use crate::event::{Depth, Ids, Level, Quote, Top, Trade};
use crate::fixed::Fixed;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Trade(Trade),
    Top(Top),
    Depth(Depth),
    /// Well-formed, but of no use here: another stream, or the answer to a subscription.
    Other,
}

#[derive(Debug)]
pub(crate) enum Malformed {
    /// The line does not start with a receive time.
    Time,
    Json(serde_json::Error),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("no receive time at the start of the line"),
            Self::Json(error) => {
                // Its position counts from the start of the JSON, always in "line 1", and would be
                // mistaken for the file's.
                let reason = error.to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                write!(f, "malformed message: {reason}")
            }
        }
    }
}

/// Reads a line: when it was received, and what it says.
pub(crate) fn parse(line: &[u8]) -> Result<(i64, Message), Malformed> {
    let (received, json) = split(line).ok_or(Malformed::Time)?;
    let message = parse_json(json).map_err(Malformed::Json)?;
    Ok((received, message))
}

/// Reads only the receive time of a line.
pub(crate) fn received(line: &[u8]) -> Option<i64> {
    split(line).map(|(received, _)| received)
}

fn split(line: &[u8]) -> Option<(i64, &[u8])> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let (time, json) = line.split_at(end);
    let received = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((received, json))
}

fn parse_json(json: &[u8]) -> serde_json::Result<Message> {
    // Two passes, because only the name of the stream tells what the fields of `data` are: the same
    // letters mean a price in one kind of message and a list of levels in the next.
    #[derive(Deserialize)]
    struct Head {
        stream: Option<Stream>,
    }

    let Some(stream) = serde_json::from_slice::<Head>(json)?.stream else {
        return parse_answer(json);
    };
    Ok(match stream {
        Stream::Trade => Message::Trade(data::<TradeData>(json)?.into()),
        Stream::BookTicker => Message::Top(data::<TopData>(json)?.into()),
        Stream::Depth => Message::Depth(data::<DiffData>(json)?.into()),
        Stream::Other => Message::Other,
    })
}

fn data<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        data: T,
    }

    serde_json::from_slice::<Envelope<T>>(json).map(|envelope| envelope.data)
}

/// A line without a stream: a snapshot of the book, which some markets wrap, or another answer of
/// the exchange.
fn parse_answer(json: &[u8]) -> serde_json::Result<Message> {
    let answer: Value = serde_json::from_slice(json)?;
    let snapshot = [Some(&answer), answer.get("data"), answer.get("result")]
        .into_iter()
        .flatten()
        .find(|body| body.get("lastUpdateId").is_some());
    match snapshot {
        Some(body) => Ok(Message::Depth(SnapshotData::deserialize(body)?.into())),
        None => Ok(Message::Other),
    }
}

/// The kind of a stream, named `<symbol>@<kind>` or `<symbol>@<kind>@<interval>`.
enum Stream {
    Trade,
    BookTicker,
    Depth,
    Other,
}

impl Stream {
    fn named(name: &str) -> Self {
        let kind = name.split('@').nth(1).unwrap_or_default();
        // Only the exact word: `depth20` is the whole top of a book and must not be applied as
        // changes.
        if kind.eq_ignore_ascii_case("trade") {
            Self::Trade
        } else if kind.eq_ignore_ascii_case("bookTicker") {
            Self::BookTicker
        } else if kind.eq_ignore_ascii_case("depth") {
            Self::Depth
        } else {
            Self::Other
        }
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Stream;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a stream")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Stream, E> {
                Ok(Stream::named(name))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pair [price, quantity]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Level, A::Error> {
                let mut next = |at| {
                    pair.next_element()?
                        .ok_or_else(|| A::Error::invalid_length(at, &self))
                };
                let (price, quantity) = (next(0)?, next(1)?);
                while pair.next_element::<IgnoredAny>()?.is_some() {
                    // Old captures carry a third, unused element.
                }
                Ok(Level { price, quantity })
            }
        }

        deserializer.deserialize_seq(Pair)
    }
}

#[derive(Deserialize)]
struct TradeData {
    p: Fixed,
    q: Fixed,
    m: bool,
}

impl From<TradeData> for Trade {
    fn from(data: TradeData) -> Self {
        Self {
            price: data.p,
            quantity: data.q,
            buyer_is_maker: data.m,
        }
    }
}

#[derive(Deserialize)]
struct TopData {
    u: u64,
    b: Fixed,
    #[serde(rename = "B")]
    bid_quantity: Fixed,
    a: Fixed,
    #[serde(rename = "A")]
    ask_quantity: Fixed,
}

impl From<TopData> for Top {
    fn from(data: TopData) -> Self {
        let bid = Level {
            price: data.b,
            quantity: data.bid_quantity,
        };
        let ask = Level {
            price: data.a,
            quantity: data.ask_quantity,
        };
        Self {
            update: data.u,
            quote: Quote { bid, ask },
        }
    }
}

#[derive(Deserialize)]
struct DiffData {
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    pu: Option<u64>,
    b: Vec<Level>,
    a: Vec<Level>,
}

impl From<DiffData> for Depth {
    fn from(data: DiffData) -> Self {
        let ids = Ids::Diff {
            first: data.first,
            last: data.u,
            previous: data.pu,
        };
        Self {
            ids,
            bids: data.b,
            asks: data.a,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotData {
    last_update_id: u64,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl From<SnapshotData> for Depth {
    fn from(data: SnapshotData) -> Self {
        let ids = Ids::Snapshot {
            last: data.last_update_id,
        };
        Self {
            ids,
            bids: data.bids,
            asks: data.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> Message {
        parse(format!("1723161255088169167 {json}").as_bytes())
            .unwrap()
            .1
    }

    fn level(price: &str, quantity: &str) -> Level {
        Level {
            price: price.parse().unwrap(),
            quantity: quantity.parse().unwrap(),
        }
    }

    #[test]
    fn a_book_ticker_is_a_top() {
        let json = r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",
            "b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}"#;
        let quote = Quote {
            bid: level("61800.2", "2.507"),
            ask: level("61800.3", "2.51"),
        };
        assert_eq!(
            message(json),
            Message::Top(Top {
                update: 5123107839020,
                quote
            })
        );
    }

    #[test]
    fn a_trade_is_read_whatever_else_it_carries() {
        let json = r#"{"data":{"e":"trade","E":1,"s":"BTCUSDT","t":37,"p":"61837.63000000","q":"0.02000000",
            "T":2,"m":true,"M":true,"new":{"x":[1]}},"stream":"BTCUSDT@TRADE"}"#;
        let trade = Trade {
            price: "61837.63".parse().unwrap(),
            quantity: "0.02".parse().unwrap(),
            buyer_is_maker: true,
        };
        assert_eq!(message(json), Message::Trade(trade));
    }

    #[test]
    fn only_futures_depth_names_the_previous_update() {
        let spot =
            r#"{"stream":"btcusdt@depth@100ms","data":{"U":11,"u":14,"b":[["1.0","0.0"]],"a":[]}}"#;
        let futures = r#"{"stream":"btcusdt@depth@0ms","data":{"U":11,"u":14,"pu":7,"b":[],"a":[["2","3",[]]]}}"#;
        let ids = Ids::Diff {
            first: 11,
            last: 14,
            previous: None,
        };
        let depth = Depth {
            ids,
            bids: vec![level("1", "0")],
            asks: vec![],
        };
        assert_eq!(message(spot), Message::Depth(depth));
        let ids = Ids::Diff {
            first: 11,
            last: 14,
            previous: Some(7),
        };
        let depth = Depth {
            ids,
            bids: vec![],
            asks: vec![level("2", "3")],
        };
        assert_eq!(message(futures), Message::Depth(depth));
    }

    #[test]
    fn a_snapshot_is_found_bare_or_wrapped() {
        let bare = r#"{"lastUpdateId":9,"E":1,"bids":[["1","2"]],"asks":[["3","4"]]}"#;
        let depth = Depth {
            ids: Ids::Snapshot { last: 9 },
            bids: vec![level("1", "2")],
            asks: vec![level("3", "4")],
        };
        let expected = Message::Depth(depth);
        assert_eq!(message(bare), expected);
        assert_eq!(message(&format!(r#"{{"data":{bare}}}"#)), expected);
        assert_eq!(
            message(&format!(r#"{{"id":1,"status":200,"result":{bare}}}"#)),
            expected
        );
    }

    #[test]
    fn other_messages_are_not_malformed() {
        for json in [
            r#"{"result":null,"id":1}"#,
            r#"{"result":["btcusdt@trade"],"id":3}"#,
            r#"{"stream":"btcusdt@aggTrade","data":{"p":1,"q":[]}}"#,
            r#"{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":1,"bids":[],"asks":[]}}"#,
            r#"{"stream":"!forceOrder","data":{"o":{}}}"#,
        ] {
            assert_eq!(message(json), Message::Other, "{json}");
        }
    }

    #[test]
    fn a_line_may_end_in_carriage_return() {
        let line = b"1723161255088169167\t{\"result\":null}\r\n";
        assert_eq!(parse(line).unwrap(), (1723161255088169167, Message::Other));
    }

    #[test]
    fn damaged_lines_are_malformed() {
        for line in [
            &b"{\"result\":null}"[..],
            b"172316 ",
            b"x {\"result\":null}",
            b"1 {\"result\":null",
            b"1 {\"result\":null} tail",
            b"1 {\"stream\":\"a@trade\"}",
            b"1 {\"stream\":\"a@trade\",\"data\":{\"p\":\"1\",\"q\":2,\"m\":true}}",
            b"1 {\"stream\":\"a@depth\",\"data\":{\"U\":1,\"u\":2,\"b\":[[\"1\"]],\"a\":[]}}",
            b"1 {\"lastUpdateId\":1,\"bids\":[]}",
            b"1 {\"stream\":\"\xff\"}",
        ] {
            assert!(
                parse(line).is_err(),
                "{:?} was accepted",
                line.escape_ascii().to_string()
            );
        }
    }
}
