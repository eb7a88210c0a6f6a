"""The models: images in, predictions out; losses and decoding beside them. Strangers to every data set."""
