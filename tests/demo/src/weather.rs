//! A weather service: `GET /data/2.5/weather?q=CITY&appid=KEY&units=metric`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::server::{Reply, Seen, Server};

/// The only key it knows.
const KEY: &str = "0123456789abcdef";

/// A weather service that can be down or slow.
#[derive(Debug)]
pub struct Weather {
    server: Server,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Debug, Clone, Copy)]
enum Mood {
    Well,
    Down,
    Slow(Duration),
}

impl Weather {
    /// On this address of the machine.
    pub async fn start(host: IpAddr) -> Result<Weather> {
        let mood = Arc::new(Mutex::new(Mood::Well));
        let now = mood.clone();
        let server = Server::start_at(host, move |request| {
            answer(request, *now.lock().expect("no panic under this lock"))
        });
        Ok(Weather {
            server: server.await?,
            mood,
        })
    }

    pub fn url(&self) -> String {
        self.server.url("")
    }

    pub fn key(&self) -> &'static str {
        KEY
    }

    /// Answers 503 from now on.
    pub fn go_down(&self) {
        self.set(Mood::Down);
    }

    /// Answers late from now on.
    pub fn slow_down(&self, by: Duration) {
        self.set(Mood::Slow(by));
    }

    pub fn recover(&self) {
        self.set(Mood::Well);
    }

    /// What was asked so far, `GET /path?query` each.
    pub fn asked(&self) -> Vec<String> {
        self.server.seen().iter().map(Seen::line).collect()
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic under this lock") = mood;
    }
}

fn answer(request: &Seen, mood: Mood) -> Reply {
    let query = request.uri.query().unwrap_or_default();
    let asked = |field: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(field))
            .unwrap_or_default()
    };
    let after = match mood {
        Mood::Well => Duration::ZERO,
        Mood::Slow(by) => by,
        Mood::Down => return Reply::new(503, r#"{"cod":503,"message":"Service Unavailable"}"#),
    };
    if asked("appid=") != KEY {
        return Reply::new(401, r#"{"cod":401,"message":"Invalid API key."}"#);
    }
    if asked("units=") != "metric" || asked("q=") == "Atlantis" {
        return Reply::new(404, r#"{"cod":"404","message":"city not found"}"#);
    }
    let weather = json!({
        "weather": [{ "id": 800, "main": "Clear", "description": "clear sky" }],
        "main": { "temp": 6.95, "feels_like": 3.1, "temp_min": 8.89, "temp_max": 8.89, "humidity": 64.0 },
        "wind": { "speed": 2.8 },
        "name": asked("q="),
        "cod": 200,
    });
    Reply {
        after,
        ..Reply::new(200, weather.to_string())
    }
}
