"""FastAPI with a pydantic model of thirty numbers, as its tutorial writes it: `uvicorn …:app`."""

from benchmarks.serving.predictor import NAMES, load
from fastapi import FastAPI
from pydantic import create_model

Row = create_model("Row", **dict.fromkeys(NAMES, (float, ...)))
app = FastAPI()
predict = load()


@app.post("/predict")
async def answer(row: Row) -> dict[str, float]:
    return {"p": predict([getattr(row, name) for name in NAMES])}
