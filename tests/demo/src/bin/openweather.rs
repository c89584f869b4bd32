//! The weather action. It answers `weather CITY` with what the weather service says.
//!
//! Started with an argument it is a program of the native kind: the argument is the activation's, the last line it prints
//! the result. Started without one it is what an image of its own runs: it serves `/init`, which it answers with an empty
//! body, and `/run` on port 8080.
//!
//! The weather service's address and key are parameters, `weather_url` and `appid`, or come from the environment of the
//! image. A message without a city, and a weather service that fails, end the activation as an error of the action.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use serde_json::{Value, json};

/// Where an image listens.
const PORT: u16 = 8080;

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        Some(argument) => once(&argument),
        None => serve(),
    }
}

fn once(argument: &str) -> ExitCode {
    let parameters = serde_json::from_str(argument).unwrap_or_default();
    match run(&parameters) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("openweather: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> ExitCode {
    let listener = match TcpListener::bind(("0.0.0.0", PORT)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("openweather: cannot listen on port {PORT}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            if let Err(error) = converse(&stream) {
                eprintln!("openweather: a connection was lost: {error}");
            }
        });
    }
    ExitCode::SUCCESS
}

/// Answers the requests of one connection, one after the other.
fn converse(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some((target, body)) = request(&mut reader)? {
        let (status, answer) = match target.as_str() {
            "/init" => ("200 OK", String::new()),
            "/run" => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                match run(&body["value"]) {
                    Ok(result) => ("200 OK", result.to_string()),
                    Err(why) => {
                        eprintln!("openweather: {why}");
                        ("500 Internal Server Error", json!({ "error": why }).to_string())
                    }
                }
            }
            _ => ("404 Not Found", String::new()),
        };
        let length = answer.len();
        write!(
            writer,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
        writer.flush()?;
    }
    Ok(())
}

/// Target and body of the next request; none when the client has closed the connection.
fn request(reader: &mut impl std::io::BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers = headers(reader)?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some((target, body)))
}

/// Names in lower case, and values.
fn headers(reader: &mut impl std::io::BufRead) -> std::io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(headers);
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn run(parameters: &Value) -> Result<Value, String> {
    let text = parameters["text"].as_str().unwrap_or_default();
    let word = parameters["trigger_word"].as_str().unwrap_or("weather");
    let city = text.strip_prefix(word).unwrap_or(text).trim();
    if city.is_empty() {
        return Err(format!("the message '{text}' names no city"));
    }
    println!("asking for the weather in {city}");
    let setting = |parameter: &str, variable: &str| {
        let given = parameters[parameter].as_str().map(str::to_owned);
        given.or_else(|| std::env::var(variable).ok()).unwrap_or_default()
    };
    let (url, key) = (setting("weather_url", "WEATHER_URL"), setting("appid", "WEATHER_KEY"));
    let report = ask(&url, city, &key).map_err(|why| format!("the weather service at {url} cannot be asked: {why}"))?;
    described(&report).ok_or_else(|| format!("the weather service said {report}"))
}

fn ask(url: &str, city: &str, key: &str) -> Result<Value, String> {
    let host = url
        .strip_prefix("http://")
        .ok_or("its address does not begin with http://")?
        .trim_end_matches('/');
    let told = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(host).map_err(told)?;
    let target = format!("/data/2.5/weather?q={}&appid={key}&units=metric", encoded(city));
    write!(
        &stream,
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .map_err(told)?;
    let mut reader = BufReader::new(&stream);
    let mut status = String::new();
    reader.read_line(&mut status).map_err(told)?;
    headers(&mut reader).map_err(told)?;
    let mut body = String::new();
    reader.read_to_string(&mut body).map_err(told)?;
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("{} {body}", status.trim_end()));
    }
    serde_json::from_str(&body).map_err(|error| error.to_string())
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn described(report: &Value) -> Option<Value> {
    let sky = report["weather"][0]["description"].as_str()?;
    let (main, wind) = (&report["main"], &report["wind"]["speed"]);
    Some(json!({
        "text": format!(
            "{sky}, Temperature: {} Real feel: {} Max Temperature: {} Min Temperature: {} Humidity: {} Wind Speed: {wind}km/h",
            main["temp"], main["feels_like"], main["temp_max"], main["temp_min"], main["humidity"]
        )
    }))
}
