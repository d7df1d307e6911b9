// One iteration of ordinary use: mostly reading, some searching, some writing. Shared by load, stress, spike and soak, so that
// they differ in how much, and not in what.
import { createAndSubmit, read, search, word } from './docket.js';

// Ids that this virtual user made or saw.
const known = [];

export function ordinaryUse(options = {}) {
  const dice = Math.random();
  if (dice < 0.25 || known.length === 0) {
    const id = createAndSubmit(options);
    if (id) {
      known.push(id);
      if (known.length > 50) {
        known.shift();
      }
    }
  } else if (dice < 0.7) {
    const id = known[Math.floor(Math.random() * known.length)];
    read(`/v1/cases/${id}`, { name: 'GET /v1/cases/{id}', ...options });
  } else if (dice < 0.85) {
    search('state=submitted&limit=20', { role: 'caseworker', ...options });
  } else {
    search(`q=${word()}&limit=20`, { role: 'caseworker', ...options });
  }
}
