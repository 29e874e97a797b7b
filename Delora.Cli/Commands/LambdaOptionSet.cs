using System.CommandLine;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The options that say how DeLoRA's λ is trained.</summary>
internal sealed class LambdaOptionSet
{
    private readonly Option<double?> _rate = ValueOptions.PositiveOrNone("--lambda-lr", "Learning rate of DeLoRA's λ. [default: --lr]");
    private readonly Option<double?> _decay = ValueOptions.NotNegativeOrNone("--lambda-decay", "Weight decay of λ. [default: --weight-decay]");
    private readonly Option<bool> _frozen = new("--freeze-lambda") { Description = "λ stays at --lambda, and so does every layer's bound." };

    private readonly Option<double?> _least = ValueOptions.NumberOrNone(
        "--lambda-min", "λ is put back here after steps that took it below. [default: no limit]");

    private readonly Option<double?> _most = ValueOptions.NumberOrNone(
        "--lambda-max", "λ is put back here after steps that took it above: the largest bound that training can reach. [default: no limit]");

    private readonly Option<int> _warmup = ValueOptions.Count(
        "--lambda-warmup", "Steps over which λ rises from 0 to --lambda, before it is trained.", 0, least: 0);

    private IEnumerable<Option> All => [_rate, _decay, _frozen, _least, _most, _warmup];

    public void AddTo(Command command)
    {
        foreach (Option option in All)
            command.Add(option);
    }

    /// <param name="parsed">The command line.</param>
    /// <param name="adapter">The adapter whose λ it is.</param>
    /// <param name="fromFile">Whether a file says what the adapter is.</param>
    /// <exception cref="InputException">LoRA has no λ, or the options contradict each other.</exception>
    public LambdaOptions Read(ParseResult parsed, AdapterConfig adapter, bool fromFile)
    {
        if (adapter is not DeloraConfig delora)
            return All.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } wrong
                ? throw new InputException($"{wrong.Name}: LoRA has no λ; it belongs to --method delora")
                : new LambdaOptions();
        if (parsed.GetValue(_frozen)
            && ((Option[])[_rate, _decay, _least, _most]).FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } idle)
            throw new InputException($"{idle.Name} has nothing to act on with --freeze-lambda");
        if (parsed.GetValue(_least) > parsed.GetValue(_most))
            throw new InputException("--lambda-min is above --lambda-max");
        (string Name, double Start)[] starts =
        [
            (fromFile ? "delora_lambda" : "--lambda", delora.DeloraLambda),
            .. delora.LambdaPattern.Select(pair => ($"lambda_pattern[\"{pair.Key}\"]", pair.Value)),
        ];
        if (starts.FirstOrDefault(entry => entry.Start < parsed.GetValue(_least) || entry.Start > parsed.GetValue(_most)) is { Name: { } name } outside)
            throw new InputException(
                $"{(fromFile ? $"{delora.Source}: " : "")}{name} {Printable.Number(outside.Start)}, where λ starts, is outside of --lambda-min and "
                + "--lambda-max");
        return new LambdaOptions
        {
            LearningRate = parsed.GetValue(_rate),
            WeightDecay = parsed.GetValue(_decay),
            Frozen = parsed.GetValue(_frozen),
            Min = parsed.GetValue(_least),
            Max = parsed.GetValue(_most),
            WarmupSteps = parsed.GetRequiredValue(_warmup),
        };
    }
}
