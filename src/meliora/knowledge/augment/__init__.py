"""Made queries: more ways to ask for what is known to answer, each scored, none of them of the test set.

- `examples`   what an example is, and the seven methods by name
- `aims`       which words are aimed at
- `sources`    what queries are made of: passages, and what stands above them
- `edits`      made without a model: misspelled, words swapped or left out, words exchanged for neighbours
- `neighbours` words that stand where a word stands, learned from the collection
- `salient`    a query made of the rare words of a document's sentence
- `asked`      made by a model: paraphrased, translated and back, asked of a document; its answers are data, read strictly
- `make`       makes a data set: methods in turn, refused, scored, within a budget of calls
- `quality`    what an example keeps of its source, how much a set differs within, and what is too near to the test set
- `manifest`   the data set as files: manifest, JSON lines and CSV, named by their content
- `shelf`      data sets as they are kept
- `workshop`   makes the data set of a collection and keeps it
- `learning`   what of a data set is learned from: nothing that proves what was learned
- `trainers`   who trains on a data set, how a run goes on, and what it left
- `local`      trains a reranker on this machine
"""
