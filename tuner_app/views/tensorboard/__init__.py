"""What `tensorboard --logdir logs` shows of a search: curves, the HParams table, pictures and a summary.

Owns the event files and what is in them; `storage.project` says in which folders they lie. TensorFlow is not needed.

A running TensorBoard never opens a file again that it knows by name. So every file of a fold is written once,
whole, when its content is final, and a file that must change gets a new name and replaces its predecessor. Only
the project's own run, which grows with the search, is one file that is appended to:

    <project>/                                  hparams_config once, heat map, confusion matrix, summary
    <project>/trial_0000/fold_0/train           epoch_loss, epoch_accuracy, ... by epoch from 0
    <project>/trial_0000/fold_0/validation      the same of the validation rows
    <project>/trial_0000/fold_0                 the HParams session, written when the candidate is whole
    <project>/trial_0000/mean/{train,validation}  the mean curves over the folds
"""
