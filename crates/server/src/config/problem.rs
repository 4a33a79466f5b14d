//! What is wrong with settings, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the built-in default.
    Default,
    /// In a file, at a position.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// By the environment variable of this name.
    Env(String),
    /// By the flag of this name, without the dashes in front.
    Flag(String),
}

/// One mistake in the settings: one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the mistake stands.
    pub origin: Origin,
    /// What is wrong and what would be right.
    pub message: String,
}

/// All mistakes that were found; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub(super) fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self { origin, message: message.into() }
    }

    /// A name that nothing knows, and the one that was meant most likely.
    pub(super) fn unknown<'a>(origin: Origin, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let nearest = known.into_iter().min_by_key(|known| strsim::damerau_levenshtein(name, known));
        let remedy = nearest.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        Self::new(origin, format!("there is no setting `{name}`{remedy}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.message),
            origin => write!(f, "{origin}: {}", self.message),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_comes_with_the_nearest_known_one() {
        let problem = Problem::unknown(Origin::Env("X".to_owned()), "rtmp.adr", ["log.level", "rtmp.addr"]);
        assert_eq!(problem.to_string(), "X: there is no setting `rtmp.adr`; did you mean `rtmp.addr`?");
    }
}
