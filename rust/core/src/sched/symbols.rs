//! Texts that recur (label keys and values, node names, resource names) as small numbers.

use std::sync::Arc;

use hashbrown::HashMap;

/// An interned text: equal texts have equal symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// The empty text.
    pub const EMPTY: Symbol = Symbol(0);
}

/// All texts met so far. They are kept: what is interned (label values of nodes, terms of pods) recurs, and a text
/// costs about 80 bytes.
pub struct Symbols {
    by_text: HashMap<Arc<str>, Symbol>,
    texts: Vec<Arc<str>>,
}

impl Default for Symbols {
    fn default() -> Self {
        let empty: Arc<str> = Arc::from("");
        Self {
            by_text: HashMap::from([(empty.clone(), Symbol::EMPTY)]),
            texts: vec![empty],
        }
    }
}

impl Symbols {
    /// The symbol of `text`, made at the first meeting.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.by_text.get(text) {
            return symbol;
        }
        let symbol = Symbol(self.texts.len() as u32);
        let text: Arc<str> = Arc::from(text);
        self.texts.push(text.clone());
        self.by_text.insert(text, symbol);
        symbol
    }

    /// The symbol of `text` where it has one.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The text of `symbol`.
    pub fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_symbol() {
        let mut symbols = Symbols::default();
        let zone = symbols.intern("zone");
        assert_eq!(symbols.intern("zone"), zone);
        assert_ne!(symbols.intern("arch"), zone);
        assert_eq!(symbols.text(zone), "zone");
        assert_eq!(symbols.intern(""), Symbol::EMPTY);
        assert_eq!(symbols.find("never seen"), None);
    }
}
