"""The API, its tokens and its JSON, without a fleet behind them."""
