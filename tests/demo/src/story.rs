//! The story, step by step.

use anyhow::{Result, ensure};
use serde_json::{Map, Value};
use wsk_demo::{LOOPBACK, Message, Slack, Weather};

use crate::stage::Stage;

/// Everybody on the stage.
struct Cast<'a> {
    stage: &'a Stage,
    slack: Slack,
    weather: Weather,
}

pub async fn play(stage: &Stage) -> Result<()> {
    let cast = Cast {
        stage,
        slack: Slack::start(LOOPBACK).await?,
        weather: Weather::start(LOOPBACK).await?,
    };
    step("The cast");
    println!("platform         {}", stage.url);
    println!("Slack            {}   (an incoming webhook)", cast.slack.webhook());
    println!("weather service  {}", cast.weather.url());
    let url = cast.set_up().await?;
    cast.message(&url).await?;
    cast.records().await?;
    cast.no_city(&url).await?;
    cast.trigger_and_rule().await?;
    Ok(())
}

impl Cast<'_> {
    /// Creates the actions and the route; gives the address to tell Slack.
    async fn set_up(&self) -> Result<String> {
        let (stage, weather) = (self.stage, self.weather.url());
        step("The weather action: a program that asks the weather service");
        let program = stage.program("openweather");
        let create = ["-i", "action", "create"];
        let given = ["-p", "weather_url", &weather, "-p", "appid", self.weather.key()];
        stage
            .show(&[&create[..], &["openweather-quarkus", &program, "--native"], &given].concat())
            .await?;

        step("A copy of the system's Slack action, bound to the webhook");
        let webhook = self.slack.webhook();
        let copy = [
            "--copy",
            "openweather-slack",
            "/whisk.system/slack/post",
            "-p",
            "url",
            &webhook,
        ];
        stage.show(&[&create[..], &copy].concat()).await?;

        step("A sequence of the two, made a web action");
        let components = "/guest/openweather-quarkus,/guest/openweather-slack";
        stage
            .show(&[&create[..], &["openweather", "--sequence", components]].concat())
            .await?;
        stage
            .show(&["-i", "action", "update", "openweather", "--web", "true"])
            .await?;
        stage.show(&["-i", "action", "list"]).await?;

        step("A route to it, without a key");
        let said = stage
            .show(&["-i", "api", "create", "/openweather", "POST", "openweather"])
            .await?;
        let url = said.lines().nth(1).unwrap_or_default().to_owned();
        ensure!(
            url.starts_with("http://") && url.ends_with("/openweather"),
            "`wsk api create` told no address"
        );
        Ok(url)
    }

    async fn message(&self, url: &str) -> Result<()> {
        step("Somebody writes `weather Athens` in the channel, and Slack tells the route");
        self.tell(url, "weather Athens", 200).await?;
        for asked in self.weather.asked() {
            println!("the weather service was asked: {asked}");
        }
        let posts = self.posts(1)?;
        println!("Slack got the post: {}", Value::from(posts[0].clone()));
        Ok(())
    }

    async fn records(&self) -> Result<()> {
        step("What the platform wrote down");
        let list = ["-i", "activation", "list"];
        self.stage.once(&list, |said| said.lines().count() == 4).await?;
        self.stage.show(&list).await?;
        Ok(())
    }

    async fn no_city(&self, url: &str) -> Result<()> {
        step("Without a city the weather action fails: Slack is told, tries again, and nothing is posted");
        self.tell(url, "weather", 400).await?;
        self.posts(1)?;
        let list = ["-i", "activation", "list", "openweather-quarkus", "--limit", "1"];
        self.stage
            .once(&list, |said| said.contains(" developer error "))
            .await?;
        let said = self.stage.show(&list).await?;
        let id = said
            .split_whitespace()
            .find(|word| word.len() == 32)
            .unwrap_or_default();
        let said = self.stage.show(&["-i", "activation", "logs", id]).await?;
        ensure!(said.contains("names no city"), "the log does not say why");
        Ok(())
    }

    async fn trigger_and_rule(&self) -> Result<()> {
        step("The other way: a trigger and a rule to the same sequence");
        let stage = self.stage;
        stage.show(&["-i", "trigger", "create", "slackmsg"]).await?;
        stage
            .show(&["-i", "rule", "create", "answer", "slackmsg", "openweather"])
            .await?;
        stage
            .show(&["-i", "trigger", "fire", "slackmsg", "-p", "text", "weather Oslo"])
            .await?;
        stage
            .once(&["activation", "list", "openweather-slack"], |said| {
                said.lines().count() == 3
            })
            .await?;
        let posts = self.posts(2)?;
        println!("Slack got the post: {}", Value::from(posts[1].clone()));
        Ok(())
    }

    /// Has Slack tell a message, and shows what it was told in return.
    async fn tell(&self, url: &str, text: &str, status: u16) -> Result<()> {
        let message = Message::new(text);
        println!("> POST {url}\n> {}", message.form());
        let delivery = self.slack.tell(url, &message).await?;
        for reply in &delivery.attempts {
            println!("< {} {}", reply.status, compact(&reply.body));
            ensure!(reply.status == status, "the status should be {status}");
        }
        Ok(())
    }

    fn posts(&self, count: usize) -> Result<Vec<Map<String, Value>>> {
        let posts = self.slack.posts()?;
        ensure!(
            posts.len() == count,
            "Slack got {} posts in all, not {count}",
            posts.len()
        );
        Ok(posts)
    }
}

pub fn step(title: &str) {
    println!("\n\x1b[1m{title}\x1b[0m");
}

/// JSON on one line; anything else as it is.
fn compact(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => value.to_string(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}
