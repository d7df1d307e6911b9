//! Every kind of job that this process knows, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_domain::job::JobKind;

use super::handler::{JobHandler, KindSpec};

/// Handlers by kind.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<&'static str, Arc<dyn JobHandler>>,
}

/// Two handlers for one kind, or a kind that is none: a mistake in the composition root.
#[derive(Debug, thiserror::Error)]
#[error("the kind of job {0:?} is not a name, or has two handlers")]
pub struct InvalidKind(&'static str);

impl Registry {
    /// A registry of these handlers.
    pub fn new(handlers: Vec<Arc<dyn JobHandler>>) -> Result<Self, InvalidKind> {
        let mut registry = Self::default();
        for handler in handlers {
            let kind = handler.spec().kind;
            if kind.parse::<JobKind>().is_err() || registry.handlers.insert(kind, handler).is_some() {
                return Err(InvalidKind(kind));
            }
        }
        Ok(registry)
    }

    /// The handler of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn JobHandler>> {
        self.handlers.get(kind)
    }

    /// Every handler in the order of kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn JobHandler>> {
        self.handlers.values()
    }

    /// Every kind with its limits.
    pub fn specs(&self) -> Vec<KindSpec> {
        self.iter().map(|handler| handler.spec()).collect()
    }
}
