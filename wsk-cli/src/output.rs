//! The only place that prints.
//!
//! Success goes to standard output, errors to the other stream; colours are used when standard output is a terminal.
//! A reader that goes away ends the command as a success (see [`Failure::ClosedPipe`]).

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::json;

/// The two streams of a command.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    style: Style,
    /// The program named in the usage line.
    program: &'static str,
}

/// Whether escapes may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// Which stream a thing goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// A line with parts that stand out on a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Weight, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Plain,
    Bold,
}

impl Line {
    pub fn plain(mut self, text: impl Into<String>) -> Self {
        self.0.push((Weight::Plain, text.into()));
        self
    }

    pub fn bold(mut self, text: impl Into<String>) -> Self {
        self.0.push((Weight::Bold, text.into()));
        self
    }

    fn paint(&self, style: Style) -> String {
        let paint = |(weight, text): &(Weight, String)| match (style, weight) {
            (Style::Coloured, Weight::Bold) => format!("\x1b[1m{text}\x1b[0m"),
            (Style::Coloured, Weight::Plain) | (Style::Plain, _) => text.clone(),
        };
        self.0.iter().map(paint).collect()
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::default().plain(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::default().plain(text)
    }
}

/// A line that starts plainly: `line("created action ").bold(name)`.
pub fn line(text: impl Into<String>) -> Line {
    Line::default().plain(text)
}

impl Output {
    /// The process's own streams.
    pub fn of_process(program: &'static str) -> Self {
        let style = match io::stdout().is_terminal() {
            true => Style::Coloured,
            false => Style::Plain,
        };
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            style,
            program,
        }
    }

    /// Streams of somebody else's.
    #[cfg(test)]
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static, program: &'static str) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            style: Style::Plain,
            program,
        }
    }

    fn stream(&mut self, stream: Stream) -> &mut dyn Write {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    /// A line on standard output.
    pub fn line(&mut self, line: impl Into<Line>) -> Result<(), Failure> {
        let text = line.into().paint(self.style);
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Text on standard output, as it is.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// `ok: ` and what was done, on standard output.
    pub fn ok(&mut self, line: impl Into<Line>) -> Result<(), Failure> {
        self.ok_on(Stream::Out, line)
    }

    pub fn ok_on(&mut self, stream: Stream, line: impl Into<Line>) -> Result<(), Failure> {
        let text = line.into().paint(self.style);
        let ok = match self.style {
            Style::Coloured => "\x1b[32mok:\x1b[0m",
            Style::Plain => "ok:",
        };
        Ok(writeln!(self.stream(stream), "{ok} {text}")?)
    }

    /// A document with free-form keys sorted.
    pub fn json(&mut self, document: &Value) -> Result<(), Failure> {
        self.json_on(Stream::Out, document)
    }

    pub fn json_on(&mut self, stream: Stream, document: &Value) -> Result<(), Failure> {
        Ok(writeln!(self.stream(stream), "{}", json::pretty(document))?)
    }

    /// What stands before the messages of a flag error: bare, or for a group twice.
    pub fn error_text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.err, "{text}")?)
    }

    /// Tells a failure and gives the exit code it ends with.
    pub fn failure(&mut self, failure: Failure) -> Exit {
        match failure {
            Failure::ClosedPipe => Exit::OK,
            Failure::Reported(exit) => exit,
            Failure::Said { message, exit, usage } => {
                // Nothing is left to do when even the error stream is closed.
                let _ = self.tell(&message, usage);
                exit
            }
        }
    }

    fn tell(&mut self, message: &str, usage: Usage) -> io::Result<()> {
        let error = match self.style {
            Style::Coloured => "\x1b[31merror: \x1b[0m",
            Style::Plain => "error: ",
        };
        writeln!(self.err, "{error}{message}")?;
        match usage {
            Usage::Shown => writeln!(self.err, "Run '{} --help' for usage.", self.program),
            Usage::Hidden => Ok(()),
        }
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        Ok(self.err.flush()?)
    }
}
