//! Why a command could not do its work: a text for people and an exit code from the one table.

use reports::exit_codes::{COULD_NOT_RUN, WRONG_INPUT};

/// A command's failure. A verdict is no failure: it is the command's answer.
#[derive(Debug)]
pub enum Problem {
    /// The command line or the scenario file is wrong; nothing was sent. The text is complete, line breaks included.
    Input(String),
    /// It could not run: target, folder, or an error of our own.
    Run(String),
}

impl From<engine::ReadError> for Problem {
    fn from(error: engine::ReadError) -> Self {
        Self::run(error)
    }
}

impl Problem {
    /// A mistake on the command line.
    pub fn usage(text: impl std::fmt::Display) -> Self {
        Self::Input(format!("error: {text}\n"))
    }

    /// Something that could not be done.
    pub fn run(text: impl std::fmt::Display) -> Self {
        Self::Run(format!("error: {text}\n"))
    }

    /// What to print.
    pub fn text(&self) -> &str {
        match self {
            Self::Input(text) | Self::Run(text) => text,
        }
    }

    /// What happened, in one line for a report.
    pub fn reason(&self) -> &str {
        let text = self.text().trim();
        text.strip_prefix("error: ").unwrap_or(text)
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Input(_) => WRONG_INPUT,
            Self::Run(_) => COULD_NOT_RUN,
        }
    }
}
