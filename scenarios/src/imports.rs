//! `import:`: the parts of other files, merged into one tree before anything is read.
//! In: the scenario file, and the files it names, relative to the file that names them. Out: one tree, and [`Files`],
//! which knows for each byte of the joined text which file it stands in.

use crate::diagnostic::{Diagnostic, Span};
use crate::source::Source;
use crate::syntax::{self, Entry, MAX_BYTES, Node, Scalar};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files of a scenario.
const MAX_FILES: usize = 64;

/// The files of a scenario, their texts joined: every span counts in the joined text.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The main file with the text of all.
    pub joined: Source,
    /// Imported files with the place of their first byte, ascending.
    parts: Vec<(usize, Arc<Source>)>,
}

impl Files {
    /// A scenario of one file.
    pub fn single(source: &Source) -> Self {
        Self { joined: source.clone(), parts: Vec::new() }
    }

    /// The imported file that byte `at` stands in, and where it starts; `None` for the main file.
    pub fn part(&self, at: usize) -> Option<&(usize, Arc<Source>)> {
        let behind = self.parts.partition_point(|(start, _)| *start <= at);
        behind.checked_sub(1).map(|i| &self.parts[i])
    }

    /// The folder of the file that byte `at` stands in.
    pub fn folder(&self, at: usize) -> &Path {
        self.part(at).map_or(&self.joined.folder, |(_, source)| &source.folder)
    }

    /// The imported files.
    pub fn imported(&self) -> impl Iterator<Item = &Source> {
        self.parts.iter().map(|(_, source)| &**source)
    }
}

/// Parses the scenario and everything that it imports. What is wrong goes into `mistakes`.
pub(crate) fn gather(source: &Source, mistakes: &mut Vec<Diagnostic>) -> (Option<Node>, Files) {
    let (tree, found) = syntax::parse(&source.text);
    mistakes.extend(found);
    let mut gathering = Gathering { files: Files::single(source), mistakes, read: Vec::new() };
    let Some(mut tree) = tree else {
        return (None, gathering.files);
    };
    let imports = take_imports(&mut tree);
    if let Some(entry) = imports {
        let own = Path::new(&source.name).file_name().map_or_else(PathBuf::new, |name| source.folder.join(name));
        let main = Step { path: canonical(&own), shown: source.name.clone() };
        gathering.read.push(main.path.clone());
        gathering.import(&entry, &source.folder, &mut vec![main], &mut tree);
    }
    let files = gathering.files;
    (Some(tree), files)
}

/// A file on the way from the main file to the one at hand.
struct Step {
    path: PathBuf,
    shown: String,
}

struct Gathering<'m> {
    files: Files,
    mistakes: &'m mut Vec<Diagnostic>,
    /// Files that are in already: importing one twice is no mistake.
    read: Vec<PathBuf>,
}

impl Gathering<'_> {
    fn refuse(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        self.mistakes.push(Diagnostic::error(code, span, message).help(help));
    }

    fn import(&mut self, entry: &Entry, folder: &Path, way: &mut Vec<Step>, tree: &mut Node) {
        let names: Vec<&Scalar> = match &entry.value {
            Node::List(items, _) => items.iter().filter_map(Node::as_scalar).collect(),
            Node::Scalar(one) => vec![one],
            Node::Map(..) => Vec::new(),
        };
        let given = if let Node::List(items, _) = &entry.value { items.len() } else { 1 };
        if names.len() != given || names.iter().any(|name| name.is_null() || name.text.contains("${")) {
            let message = "`import` is a list of paths, written out".to_owned();
            self.refuse("wrong-type", entry.key.span, message, "write for example `import: [common.yaml]`");
            return;
        }
        for name in names.into_iter().filter(|name| !name.broken) {
            self.one(name, folder, way, tree);
        }
    }

    fn one(&mut self, name: &Scalar, folder: &Path, way: &mut Vec<Step>, tree: &mut Node) {
        let path = folder.join(&name.text);
        let known = canonical(&path);
        if let Some(at) = way.iter().position(|step| step.path == known) {
            let mut circle: Vec<String> = way[at..].iter().map(|step| format!("`{}`", step.shown)).collect();
            circle.push(format!("`{}`", way[at].shown));
            let message = format!("files import each other in a circle: {}", circle.join(" → "));
            self.refuse("cycle", name.span, message, "move what both need into a file of its own");
            return;
        }
        if self.read.contains(&known) {
            return;
        }
        let Some(source) = self.read_file(name, &path) else { return };
        self.read.push(known.clone());
        let start = self.files.joined.text.len() + 1;
        let (part, mut found) = syntax::parse(&source.text);
        found.iter_mut().for_each(|mistake| mistake.span = mistake.span.shifted(start));
        self.mistakes.extend(found);
        self.files.joined.text.push('\n');
        self.files.joined.text.push_str(&source.text);
        way.push(Step { path: known, shown: source.name.clone() });
        let folder = source.folder.clone();
        self.files.parts.push((start, Arc::new(source)));
        if let Some(mut part) = part {
            part.shift(start);
            let imports = take_imports(&mut part);
            self.merge(tree, part, name.span);
            if let Some(entry) = imports {
                self.import(&entry, &folder, way, tree);
            }
        }
        way.pop();
    }

    fn read_file(&mut self, name: &Scalar, path: &Path) -> Option<Source> {
        if self.files.parts.len() + 1 >= MAX_FILES {
            self.refuse(
                "too-large",
                name.span,
                format!("a scenario has at most {MAX_FILES} files"),
                "join some of them",
            );
            return None;
        }
        match Source::read(path) {
            Ok(source) if source.text.len() + self.files.joined.text.len() > MAX_BYTES => {
                let message = "the scenario and its imports are larger than 16 MiB".to_owned();
                self.refuse("too-large", name.span, message, "put data into CSV files");
                None
            }
            Ok(source) => Some(source),
            Err(error) => {
                let message = format!("the file `{}` cannot be read: {error}", name.shown());
                self.refuse("no-file", name.span, message, "paths start from the folder of the file that imports");
                None
            }
        }
    }

    /// Puts an imported file's parts behind those that are there.
    fn merge(&mut self, tree: &mut Node, part: Node, at: Span) {
        let (Node::Map(entries, _), Node::Map(imported, _)) = (tree, part) else {
            self.refuse(
                "wrong-type",
                at,
                "an imported file is a map of keys and values".into(),
                "start it with `fragments:`",
            );
            return;
        };
        for entry in imported {
            match entry.key.text.as_str() {
                // What the file calls itself when it is played alone.
                "name" => continue,
                "watertight" => {
                    if entry.value.as_scalar().is_none_or(|s| s.text != "1") {
                        let message = "the version of the language is 1".to_owned();
                        self.refuse("bad-value", entry.value.span(), message, "write `watertight: 1`");
                    }
                    continue;
                }
                _ => {}
            }
            match entries.iter_mut().find(|e| e.key.text == entry.key.text) {
                None => entries.push(entry),
                Some(there) => self.merge_section(there, entry),
            }
        }
    }

    fn merge_section(&mut self, there: &mut Entry, new: Entry) {
        let section = new.key.text.clone();
        match (&mut there.value, new.value) {
            (Node::List(items, _), Node::List(more, _)) => items.extend(more),
            (Node::Map(entries, _), Node::Map(more, _)) if section != "mix" && section != "gate" => {
                for entry in more {
                    match entries.iter().find(|e| e.key.text == entry.key.text) {
                        None => entries.push(entry),
                        Some(first) => {
                            let (first, name) = (first.key.span, entry.key.shown().to_owned());
                            self.twice(first, entry.key.span, &format!("`{name}` of `{section}`"));
                        }
                    }
                }
            }
            _ => self.twice(there.key.span, new.key.span, &format!("`{section}`")),
        }
    }

    fn twice(&mut self, first: Span, second: Span, what: &str) {
        let (file, line, column) = self.files.place(first.start);
        self.mistakes.push(
            Diagnostic::error("duplicate-name", second, format!("{what} stands in two files"))
                .note(format!("the first one is at {file}:{line}:{column}"))
                .help("rename one of them, or remove it"),
        );
    }
}

impl Files {
    /// File, line and column of a byte of the joined text.
    pub fn place(&self, at: usize) -> (&str, u32, u32) {
        let (source, start) = self.part(at).map_or((&self.joined, 0), |(start, source)| (&**source, *start));
        let (line, column) = crate::diagnostic::position(&source.text, at - start);
        (&source.name, line, column)
    }
}

/// Takes `import` out of a file's map.
fn take_imports(tree: &mut Node) -> Option<Entry> {
    let Node::Map(entries, _) = tree else { return None };
    let at = entries.iter().position(|e| e.key.text == "import")?;
    Some(entries.remove(at))
}

/// The one name of a file; one that is not there keeps the name it was given.
fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
