//! What a service says about itself at `/metrics`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use wsk_client::{Client, Config};

/// A service that is frozen answers nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sums of the counts of a service at one moment, by name.
pub struct Counts(HashMap<String, f64>);

impl Counts {
    /// Asks a service for them.
    pub async fn of(admin: &str) -> Result<Counts> {
        Ok(Counts::read(&ask(admin, "metrics").await?))
    }

    fn read(text: &str) -> Counts {
        let mut sums: HashMap<String, f64> = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                let name = name.split('{').next().unwrap_or(name);
                *sums.entry(name.to_owned()).or_default() += value;
            }
        }
        Counts(sums)
    }

    /// The sum of all series of a name.
    pub fn known(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    fn get(&self, name: &str) -> f64 {
        self.known(name).unwrap_or_default()
    }

    /// Containers that an invoker keeps for what may come.
    pub fn kept(&self) -> f64 {
        self.get("containerPool_idlesCount_counter") + self.get("containerPool_prewarmCount_counter")
    }

    /// Activations that an invoker has ended and not recorded yet.
    pub fn unrecorded(&self) -> f64 {
        let under_way =
            self.get("containerPool_activeCount_counter") + self.get("containerPool_runBufferCount_counter");
        self.get(ACTIVATIONS) - self.get(RECORDS) - under_way
    }

    /// Records that an invoker has stored.
    pub fn records(&self) -> f64 {
        self.get(RECORDS)
    }
}

/// Whether a service says that it is ready.
pub async fn is_ready(admin: &str) -> bool {
    matches!(ask(admin, "ready").await, Ok(text) if text.trim() == "ready")
}

async fn ask(admin: &str, what: &str) -> Result<String> {
    let client = Client::new(Config {
        host: format!("http://{admin}"),
        ..Config::default()
    })?;
    let text = tokio::time::timeout(PATIENCE, client.download(what)).await;
    let text = text.context("no answer in time")?.with_context(|| admin.to_owned())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

const ACTIVATIONS: &str = "invoker_activation_start";
const RECORDS: &str = "invoker_records_finish";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_name_are_added_up() {
        let counts = Counts::read("# HELP a x\n# TYPE a counter\na{of=\"one\"} 2\na{of=\"two words\"} 3\nb 1.5\n");
        assert_eq!((counts.get("a"), counts.get("b"), counts.get("c")), (5.0, 1.5, 0.0));
    }

    #[test]
    fn what_is_under_way_is_not_yet_due() {
        let text = format!("{ACTIVATIONS} 10\n{RECORDS} 4\ncontainerPool_activeCount_counter 2\n");
        assert_eq!(Counts::read(&text).unrecorded(), 4.0);
    }
}
