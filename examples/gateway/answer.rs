//! What is sent back over HTTP.

use std::io;

use serde::Serialize;
use serde_json::json;
use tiny_http::{Header, Response};

use crate::failure::Failure;

/// A status and a body, which is JSON.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: serde_json::Value,
    /// The method that is allowed, of one that is not.
    allow: Option<&'static str>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Serialize) -> Self {
        Self {
            status,
            body: serde_json::to_value(body).expect("its keys are strings"),
            allow: None,
        }
    }

    /// Says why not.
    pub(crate) fn refusal(status: u16, why: impl ToString) -> Self {
        Self::new(status, json!({ "error": why.to_string() }))
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::refusal(405, format_args!("only {allow} is allowed here"))
        }
    }

    pub(crate) fn send(self, request: tiny_http::Request) -> io::Result<()> {
        let header = |name: &str, value: &str| {
            Header::from_bytes(name, value).expect("both are plain ASCII")
        };
        let mut response = Response::from_string(self.body.to_string())
            .with_status_code(self.status)
            .with_header(header("Content-Type", "application/json"));
        if let Some(allow) = self.allow {
            response.add_header(header("Allow", allow));
        }
        request.respond(response)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::refusal(failure.status(), failure)
    }
}
