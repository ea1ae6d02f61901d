//! Names that a body knows at a place: for the errors that the server's compiler finds before anything runs.

/// A variable.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub name: String,
    /// It can't be assigned.
    pub constant: bool,
}

impl Name {
    pub fn plain(name: &str) -> Name {
        Name { name: name.to_owned(), constant: false }
    }
}

/// A block or loop.
#[derive(Debug, Default)]
struct Level {
    label: Option<String>,
    is_loop: bool,
    names: Vec<Name>,
}

/// All that is visible, the innermost last.
#[derive(Debug)]
pub(super) struct Names {
    levels: Vec<Level>,
}

impl Names {
    pub fn new(parameters: Vec<Name>) -> Names {
        let mut names = parameters;
        names.push(Name::plain("found"));
        Names { levels: vec![Level { label: None, is_loop: false, names }] }
    }

    pub fn enter(&mut self, label: Option<String>, is_loop: bool) {
        self.levels.push(Level { label, is_loop, names: Vec::new() });
    }

    pub fn leave(&mut self) {
        self.levels.pop();
    }

    pub fn declare(&mut self, name: Name) {
        if let Some(level) = self.levels.last_mut() {
            level.names.push(name);
        }
    }

    pub fn is_declared_here(&self, name: &str) -> bool {
        self.levels.last().is_some_and(|level| level.names.iter().any(|known| known.name == name))
    }

    /// The variable that a path begins with.
    pub fn find(&self, path: &[String]) -> Option<&Name> {
        for level in self.levels.iter().rev() {
            if let Some(found) = level.names.iter().find(|name| name.name == path[0]) {
                return Some(found);
            }
            if path.len() > 1 && level.label.as_ref() == Some(&path[0]) {
                return level.names.iter().find(|name| name.name == path[1]);
            }
        }
        // A routine's own name labels its parameters.
        match path {
            [_, second, ..] => self.levels.first()?.names.iter().find(|name| name.name == *second),
            _ => None,
        }
    }

    pub fn in_loop(&self) -> bool {
        self.levels.iter().any(|level| level.is_loop)
    }

    /// Is there a label of this name, and is it a loop's?
    pub fn label(&self, label: &str) -> Option<bool> {
        self.levels.iter().rev().find(|level| level.label.as_deref() == Some(label)).map(|level| level.is_loop)
    }
}
