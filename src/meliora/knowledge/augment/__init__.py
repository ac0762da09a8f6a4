"""Made queries: more ways to ask for what is known to answer, each scored, none of them of the test set.

- `examples`   what an example is, and the seven methods by name
- `edits`      made without a model: misspelled, words swapped or left out, words exchanged for neighbours
- `salient`    a query made of a document's own rare words
- `asked`      made by a model: paraphrased, translated and back, asked of a document; its answers are data, read strictly
- `make`       makes a data set: methods in turn, refused, scored, within a budget of calls
- `quality`    what an example keeps of its source, how much a set differs within, and what is too near to the test set
- `manifest`   the data set as files: manifest and CSV, named by their content
- `learning`   what of a data set is learned from: nothing that proves what was learned
- `trainers`   who trains on a data set, how a run goes on, and what it left
- `local`      trains a reranker on this machine
"""
