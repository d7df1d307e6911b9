//! The demo corpus: twenty documents of two fictional regulators, carried in the binary, with what their manifest says of them.

use docket_domain::case::Confidentiality;
use serde::Deserialize;

/// What the manifest says of a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusDocument {
    /// Its path below `demo/corpus`.
    pub file: String,
    /// What it is called.
    pub title: String,
    /// What its bytes are.
    pub media_type: String,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// The collection it belongs to.
    pub collection: String,
    /// The name of the tenant it belongs to.
    pub tenant: String,
}

impl CorpusDocument {
    /// The name it is kept under: its path below the folder of its tenant.
    pub fn source(&self) -> &str {
        self.file.split_once('/').map_or(self.file.as_str(), |(_, name)| name)
    }

    /// Its bytes; none when the manifest names a file that was not built in.
    pub fn bytes(&self) -> Option<&'static [u8]> {
        FILES.iter().find(|(file, _)| *file == self.file).map(|(_, bytes)| *bytes)
    }
}

/// Every document of the manifest, in its order.
pub fn documents() -> Result<Vec<CorpusDocument>, serde_json::Error> {
    serde_json::from_str(include_str!("../../../demo/corpus/manifest.json"))
}

macro_rules! files {
    ($($file:literal),+ $(,)?) => {
        [$(($file, include_bytes!(concat!("../../../demo/corpus/", $file)).as_slice())),+]
    };
}

/// What belongs to tenants. The sources of the PDF files and the README beside them are none of it.
const FILES: [(&str, &[u8]); 20] = files![
    "harbour-safety/appeals-procedure.md",
    "harbour-safety/bunkering-order.html",
    "harbour-safety/case-file-data-protection.md",
    "harbour-safety/consultation-2026-responses.html",
    "harbour-safety/dangerous-goods-notice-22.pdf",
    "harbour-safety/emergency-directive-2026-01.md",
    "harbour-safety/enforcement-report-2025.html",
    "harbour-safety/form-hs4-instructions.pdf",
    "harbour-safety/inspection-manual.md",
    "harbour-safety/inspection-programme-2026.pdf",
    "harbour-safety/lifting-rules.pdf",
    "harbour-safety/memorandum-rail-oversight.html",
    "harbour-safety/mooring-code.pdf",
    "harbour-safety/operator-licences.html",
    "harbour-safety/penalty-policy.md",
    "harbour-safety/port-safety-amendment-2025.md",
    "harbour-safety/port-safety-regulation.md",
    "harbour-safety/reporting-faq.html",
    "harbour-safety/submitted-letter-halloran.md",
    "rail-oversight/rest-periods-guide.md",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_manifest_and_what_is_built_in_are_the_same_files_each_under_its_tenant() {
        let documents = documents().unwrap();
        let named: BTreeSet<&str> = documents.iter().map(|document| document.file.as_str()).collect();
        let built_in: BTreeSet<&str> = FILES.iter().map(|(file, _)| *file).collect();
        assert_eq!(named, built_in);
        for document in &documents {
            assert_eq!(document.file, format!("{}/{}", document.tenant, document.source()));
            assert!(document.bytes().is_some_and(|bytes| !bytes.is_empty()), "{}", document.file);
        }
        assert!(!named.iter().any(|file| file.contains("pdf-sources") || file.contains("README")));
    }
}
