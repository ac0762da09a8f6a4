"""Documents that are stale, near-duplicates or of no use: found, reported with reasons, planned to be archived. Nothing is ever deleted.

- `staleness`   what is too old for its category
- `relevance`   how often a document that was shown was used
- `redundancy`  near-duplicates: what may be consolidated, and what a person has to look at
- `shingles`    word 3-grams of many documents as numbers
- `joining`     which pairs of them are worth comparing
- `agreement`   whether two texts say the same, to the last word and mark
- `tokens`      a text as its words and marks, in their order
- `words`       lists of words that `tokens` and `agreement` know
- `ratio`       how much two texts have in common, letter by letter
- `plan`        what would be archived, and why: data, under its hash
- `archive`     what carries a plan out, entry by entry, and a file of it
- `shelf`       what upkeep asks of the store
- `figures`     what upkeep asks of the store about a whole collection
- `comparing`   what a comparison of a whole collection leaves behind
- `looked`      what was seen of a collection, and done there
- `keeper`      all of it over a collection
- `health`      figures of a collection's state
"""
