//! Answers over passages: sentences, what supports them, and citations that can be checked.
