"""Models for who brings none, and the layers that a saved model may hold.

Owns the tutorial's hypermodel, the layer that standardises, and its registration with Keras under the name that saved
models know. Which of them a command takes is said in `dense.dense_hypermodel`; how they are trained belongs to
`training`. Only `registration` may be loaded without Keras.
"""
