//! A small HTTP server as an action proxy has one: on the inherited socket, or on port 8080 in a container of an engine.

#![allow(dead_code, reason = "not every program that shares this file needs all of it")]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::{fd::FromRawFd, unix::net::UnixListener},
    thread,
};

use serde_json::{Value, json};

pub enum Reply {
    /// Status and body.
    Plain(u16, String),
    /// The same in chunks, without a length.
    Chunked(String),
    /// The connection ends without a word.
    Close,
}

impl Reply {
    pub fn json(value: Value) -> Reply {
        Reply::Plain(200, value.to_string())
    }
}

/// Serves for ever. `run` gets the path and the `value` of the body.
pub fn serve(run: fn(&str, &Value) -> Reply) {
    let inherited = std::env::var("WSK_PROXY_FD").ok().and_then(|fd| fd.parse().ok());
    match inherited {
        Some(fd) => {
            // SAFETY: the platform says that this descriptor is a listening socket for us.
            let listener = unsafe { UnixListener::from_raw_fd(fd) };
            for stream in listener.incoming().flatten() {
                thread::spawn(move || talk(stream.try_clone().map(BufReader::new), stream, run));
            }
        }
        None => {
            let listener = TcpListener::bind("0.0.0.0:8080").expect("port 8080 is free in a container");
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nodelay(true);
                thread::spawn(move || talk(stream.try_clone().map(BufReader::new), stream, run));
            }
        }
    }
}

fn talk(reader: io::Result<BufReader<impl Read>>, mut writer: impl Write, run: fn(&str, &Value) -> Reply) {
    let Ok(mut reader) = reader else { return };
    while let Ok(Some((path, body))) = request(&mut reader) {
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let reply = run(&path, &body["value"]);
        let text = match reply {
            Reply::Plain(status, body) => {
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            Reply::Chunked(body) => {
                let (one, two) = body.split_at(body.len() / 2);
                let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
                format!(
                    "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                    chunk(one),
                    chunk(two)
                )
            }
            Reply::Close => return,
        };
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((path, body)))
}

/// Ends the log of an activation on both streams.
pub fn sentinel() {
    let line = std::env::var("WSK_LOG_SENTINEL").unwrap_or_else(|_| "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX".to_owned());
    println!("{line}");
    eprintln!("{line}");
}

/// A result or the error's text.
pub fn outcome<T: Into<Value>>(result: io::Result<T>) -> Reply {
    Reply::json(match result {
        Ok(value) => json!({ "ok": value.into() }),
        Err(error) => json!({ "failed": error.to_string() }),
    })
}
