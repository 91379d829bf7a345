//! What an HTTP request asks for.

use crate::answer::Answer;
use crate::order::{self, Order};
use crate::quote::Quote;

/// A request that makes sense.
#[derive(Debug, PartialEq)]
pub(crate) enum Route {
    Quote(Quote),
    Order(Order),
    Health,
    Services,
}

impl Route {
    /// Understands a method and a path with its query, or says what is wrong with them.
    pub(crate) fn parse(method: &str, url: &str) -> Result<Self, Answer> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let allow = match path {
            "/quote" | "/health" | "/services" => "GET",
            "/order" => "POST",
            _ => {
                return Err(Answer::refusal(
                    404,
                    format_args!("there is nothing at {path}"),
                ));
            }
        };
        if method != allow {
            return Err(Answer::not_allowed(allow));
        }
        match path {
            "/quote" => Ok(Self::Quote(Quote {
                item: parameter(query, "item")?,
            })),
            "/order" => Ok(Self::Order(Order {
                item: parameter(query, "item")?,
                count: count(&parameter(query, "count")?)?,
            })),
            "/health" => Ok(Self::Health),
            _ => Ok(Self::Services),
        }
    }
}

/// Where the numbers of a URL's requests are kept: under its path, if there is anything at it.
pub(crate) fn path(url: &str) -> &'static str {
    match url.split('?').next() {
        Some("/quote") => "/quote",
        Some("/order") => "/order",
        Some("/health") => "/health",
        Some("/services") => "/services",
        _ => "other",
    }
}

fn parameter(query: &str, name: &str) -> Result<String, Answer> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(key, _)| key == name) {
        Some((_, value)) if !value.is_empty() => Ok(value.into_owned()),
        _ => Err(Answer::refusal(
            400,
            format_args!("the query must have {name}=..."),
        )),
    }
}

fn count(text: &str) -> Result<u64, Answer> {
    match text.parse() {
        Ok(count) if (1..=order::MOST).contains(&count) => Ok(count),
        _ => {
            let most = order::MOST;
            let why = format!("count must be a whole number from 1 to {most}, got {text:?}");
            Err(Answer::refusal(400, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, url: &str) -> (u16, String) {
        let answer = Route::parse(method, url).unwrap_err();
        let why = answer.body["error"].as_str().expect("it says why");
        (answer.status, why.to_owned())
    }

    #[test]
    fn queries_are_decoded_in_any_order() {
        let item = "green tea".to_owned();
        assert_eq!(
            Route::parse("POST", "/order?count=3&item=green%20tea"),
            Ok(Route::Order(Order {
                item: item.clone(),
                count: 3
            }))
        );
        assert_eq!(
            Route::parse("GET", "/quote?item=green+tea"),
            Ok(Route::Quote(Quote { item }))
        );
    }

    #[test]
    fn bad_input_is_refused_with_what_is_wrong() {
        for url in ["/quote", "/quote?item=", "/quote?items=tea"] {
            let why = "the query must have item=...".to_owned();
            assert_eq!(refused("GET", url), (400, why), "{url}");
        }
        for count in ["0", "1001", "-1", "1.5", "many", "18446744073709551616"] {
            let why = format!("count must be a whole number from 1 to 1000, got {count:?}");
            let url = format!("/order?item=tea&count={count}");
            assert_eq!(refused("POST", &url), (400, why));
        }
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        assert_eq!(refused("GET", "/quotes?item=tea").0, 404);
        for (method, url) in [
            ("GET", "/order?item=tea&count=1"),
            ("POST", "/quote?item=tea"),
        ] {
            assert_eq!(refused(method, url).0, 405, "{method} {url}");
        }
    }
}
