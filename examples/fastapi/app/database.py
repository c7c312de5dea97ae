"""The runs of the agent, in SQLite through SQLAlchemy's asynchronous engine."""

from datetime import datetime, timezone

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateTable


class Base(DeclarativeBase):
    pass


class Run(Base):
    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(timezone.utc))
    worker: Mapped[int]
    prompt: Mapped[str]
    answer: Mapped[str]


class Database:
    """Made in the lifespan, by each worker for itself: connections do not survive a fork."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url)
        self._session = async_sessionmaker(self.engine)

    async def create(self) -> None:
        """Create what is missing. All workers do so, perhaps at once."""
        table = Run.__table__
        assert isinstance(table, Table)
        async with self.engine.begin() as connection:
            await connection.execute(CreateTable(table, if_not_exists=True))

    async def count(self) -> int:
        async with self._session() as session:
            return await session.scalar(select(func.count()).select_from(Run)) or 0

    async def record(self, worker: int, prompt: str, answer: str) -> None:
        async with self._session.begin() as session:
            session.add(Run(worker=worker, prompt=prompt, answer=answer))
