-- Room on the page for the next version of a case. An update stays on its page, and writes to no index, when the page has
-- room for the new version beside the old one, which readers may still need. A case with a narrative of a few hundred
-- characters takes about a kilobyte, so a page that is filled to 80 % has room for one new version; when two of its cases
-- change at about the same time, one of them must leave. At 60 % three fit. Applies to pages filled from now on.
ALTER TABLE docket.cases SET (fillfactor = 60);
