"""Modules such as users bring: what is added in the tests of the adapters."""

import torch
from torch import nn


class Mlp(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.GELU(), nn.Dropout(0.5), nn.Linear(width, 6))

    def forward(self, x):
        return self.layers(x)


class Residual(nn.Module):
    """Batch norm, dropout, a residual connection, and a map beside the features."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.drop = nn.Dropout2d(0.2)

    def forward(self, image):
        x = torch.relu_(self.norm(self.stem(image)))
        x = x + self.drop(self.second(x))
        return {"map": x, "features": x.mean(dim=(2, 3))}


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(5, 7, num_layers=2, batch_first=True, dropout=0.1)

    def forward(self, series):
        return self.rnn(series)[0][:, -1]


class Attentive(nn.Module):
    """An encoder of tokens whose answer shares its weights with the embedding; positions are no part of its state."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.register_buffer("positions", torch.randn(1, 40, 16), persistent=False)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.answer = nn.Linear(16, 50, bias=False)
        self.answer.weight = self.words.weight

    def forward(self, tokens):
        hidden = self.encoder(self.words(tokens) + self.positions[:, : tokens.shape[1]])
        return {"features": hidden.mean(dim=1), "logits": self.answer(hidden[:, 0])}


class Both(nn.Module):
    """Two inputs, a tuple of outputs, a frozen part and a constant."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(3, 8)
        self.left.requires_grad_(False)

    def forward(self, left, right):
        joined = self.left(left) * torch.tensor([0.5]) + self.right(right)
        return joined, joined.argmax(dim=1, keepdim=True)


class Moody(nn.Module):
    """Its path depends on values: no graph of operations can tell that."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 3)

    def forward(self, x):
        return self.line(x) if x.sum() > 0 else self.line(-x)


def example(module):
    """Inputs for a module of this file, four samples each."""
    torch.manual_seed(1)
    return {
        Mlp: lambda: (torch.randn(4, 4),),
        Residual: lambda: (torch.randn(4, 3, 12, 12),),
        Recurrent: lambda: (torch.randn(4, 9, 5),),
        Attentive: lambda: (torch.randint(0, 50, (4, 11)),),
        Both: lambda: (torch.randn(4, 4), torch.randn(4, 3)),
        Moody: lambda: (torch.randn(4, 4),),
    }[type(module)]()
