use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::Watch;
use crate::loopback::{Answer, Asked, Pages};

const PAGE: &str = include_str!("watch.html");
const STYLE: &str = include_str!("watch.css");
const SCRIPT: &str = include_str!("watch.js");

/// The page of a run that goes on.
pub struct WatchPages(Arc<Watch>);

impl WatchPages {
    /// Shows what `watch` knows.
    pub fn new(watch: Arc<Watch>) -> Self {
        Self(watch)
    }

    fn conversation(&self, asked: &Asked) -> Answer {
        let place = asked.queried("place").and_then(|text| text.parse().ok());
        let Some(place) = place else {
            return Answer::status(StatusCode::BAD_REQUEST);
        };
        match self.0.conversation(place) {
            Ok(Some(value)) => Answer::json(StatusCode::OK, &value),
            Ok(None) => Answer::status(StatusCode::NOT_FOUND),
            Err(error) => {
                let value = json!({ "error": error.to_string() });
                Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &value)
            }
        }
    }
}

impl Pages for WatchPages {
    async fn answer(&self, asked: Asked) -> Answer {
        if asked.method.as_str() != "GET" {
            return Answer::status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let viewer = asked.queried("viewer").filter(|viewer| viewer.len() <= 64);
        match asked.name.as_str() {
            "" => Answer::html(PAGE),
            "watch.css" => Answer::css(STYLE),
            "watch.js" => Answer::javascript(SCRIPT),
            "state" => {
                let after = asked.queried("after").and_then(|text| text.parse().ok());
                let state = self.0.state(viewer, after.unwrap_or(0));
                Answer::json(StatusCode::OK, &state)
            }
            "conversation" => self.conversation(&asked),
            "report" => match self.0.report(viewer.unwrap_or_default()) {
                Some(page) => Answer::document(page),
                None => Answer::status(StatusCode::NOT_FOUND),
            },
            _ => Answer::status(StatusCode::NOT_FOUND),
        }
    }
}
