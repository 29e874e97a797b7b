namespace Delora.Core;

/// <summary>
/// Remembers what a piece of a program takes from its <see cref="Generator"/>s, so that the piece can be computed again with the same random numbers:
/// what activation checkpointing asks for.
/// <code>
/// var replay = new RandomReplay();
/// using (replay.Record()) y = layer(x);
/// using (replay.Replay()) again = layer(x);       // the same dropout masks; the generators stay where they are
/// </code>
/// </summary>
/// <remarks>
/// Both follow the flow of execution and nest. What is replayed must ask the same generators for as many numbers in the same order, as a function
/// that depends on nothing but its input does.
/// </remarks>
public sealed class RandomReplay
{
    private static readonly AsyncLocal<Part?> s_current = new();

    private readonly List<(Generator Generator, long Count, RandomStream Stream)> _taken = [];

    /// <summary>Remembers what is taken until the result is disposed, after what was remembered before.</summary>
    public IDisposable Record() => new Part(this, isReplay: false);

    /// <summary>Gives what was remembered, from the first piece on, until the result is disposed.</summary>
    public IDisposable Replay() => new Part(this, isReplay: true);

    /// <summary>Refuses a replay that has asked for less than was remembered; called before it is disposed.</summary>
    /// <exception cref="InvalidOperationException">Something is left.</exception>
    public void CheckComplete()
    {
        if (s_current.Value is { } part && part.LeftOf(this) is var left and > 0)
            throw new InvalidOperationException(
                $"A replay left {left} of {_taken.Count} pieces of random numbers: does it depend on anything that changed?");
    }

    /// <summary>The next piece of a generator's sequence: its own next one, or the one that a replay remembers.</summary>
    internal static RandomStream Take(Generator generator, long count) => Take(s_current.Value, generator, count);

    private static RandomStream Take(Part? part, Generator generator, long count) => part is null ? generator.Next(count) : part.Take(generator, count);

    private sealed class Part : IDisposable
    {
        private readonly Lock _lock = new();
        private readonly RandomReplay _owner;
        private readonly Part? _outer;
        private readonly bool _isReplay;
        private int _next;

        internal Part(RandomReplay owner, bool isReplay)
        {
            (_owner, _isReplay, _outer) = (owner, isReplay, s_current.Value);
            s_current.Value = this;
        }

        public void Dispose()
        {
            if (s_current.Value == this) s_current.Value = _outer;
        }

        internal int LeftOf(RandomReplay owner)
        {
            lock (_lock) return _isReplay && _owner == owner ? owner._taken.Count - _next : 0;
        }

        internal RandomStream Take(Generator generator, long count)
        {
            lock (_lock)
            {
                if (_isReplay)
                {
                    if (_next < _owner._taken.Count && _owner._taken[_next] is var (from, length, stream) && from == generator && length == count)
                    {
                        _next++;
                        return stream;
                    }
                    throw new InvalidOperationException(
                        $"A replay asks for {count} random numbers as piece {_next + 1}, which is not what it asked for the first time: "
                        + "does it depend on anything that changed?");
                }
                // An outer replay may know them.
                RandomStream taken = RandomReplay.Take(_outer, generator, count);
                _owner._taken.Add((generator, count, taken));
                return taken;
            }
        }
    }
}
