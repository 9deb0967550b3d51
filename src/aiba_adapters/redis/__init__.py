"""What several processes share in Redis: the counts of rate limits (extra `redis`)."""

from aiba_adapters.redis.connecting import open_client
from aiba_adapters.redis.meter import NoMeter, Operation, RedisMeter, Result
from aiba_adapters.redis.ratelimit import RedisRateLimiter

__all__ = ["NoMeter", "Operation", "RedisMeter", "RedisRateLimiter", "Result", "open_client"]
