"""Small ESM-2-shaped weights that this project trained itself; see the model card beside."""
