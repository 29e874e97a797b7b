using System.CommandLine;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The options that say to which rank an update is cut.</summary>
internal sealed class RankOptions
{
    private readonly Option<int?> _rank = ValueOptions.CountOrNone(
        "--rank", "Cut every layer's update to this rank, by a singular value decomposition. [default: exact, nothing is cut]");

    private readonly Option<double?> _energy = ValueOptions.ProbabilityOrNone(
        "--energy", "Cut each layer to the smallest rank that keeps this share of its update's squared singular values, such as 0.9.");

    public void AddTo(Command command)
    {
        command.Add(_rank);
        command.Add(_energy);
    }

    /// <exception cref="InputException">Both were given.</exception>
    public RankChoice Read(ParseResult parsed) => (parsed.GetValue(_rank), parsed.GetValue(_energy)) switch
    {
        (null, null) => RankChoice.Exact,
        ({ } rank, null) => RankChoice.Fixed(rank),
        (null, { } share) => RankChoice.EnergyShare(share),
        _ => throw new InputException("--rank and --energy both say how much to keep; give one of them"),
    };
}
