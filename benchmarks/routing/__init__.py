"""What routing is worth: `python -m benchmarks.routing --data DIR | --train DIR --test DIR --json FILE`.

data        sets of public outcomes, split by a hash of the prompt over all files
measure     savings, cost against quality, APGR: on the test part, by settings fixed on the training part
offline     figures of a policy that saw the outcomes of every model
cascade     two cheap models that agree, else a strong one, together with the policy
preferences the model that each of a crowd of planted users likes, from noisy thumbs
plots       cost against quality, as SVG
"""
