using System.CommandLine;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The options that say which adapter is trained.</summary>
internal sealed class AdapterOptions
{
    private const string Delora = "delora", Lora = "lora", Residual = "residual", Zeros = "zeros";
    private const double DefaultLambda = 15, DefaultAlpha = 8;

    private readonly Option<string> _method = ValueOptions.Choice("--method", "Kind of adapter.", Delora, Delora, Lora);
    private readonly Option<int> _rank = ValueOptions.Count("--rank", "Rank of the adapter.", 8, most: 4096);

    private readonly Option<double?> _lambda = ValueOptions.PositiveOrNone(
        "--lambda",
        FormattableString.Invariant($"DeLoRA's λ at the start: how far ΔW may go, in units of W's largest column. [default: {DefaultLambda}]"));

    private readonly Option<double?> _alpha = ValueOptions.PositiveOrNone(
        "--alpha", FormattableString.Invariant($"LoRA's α: ΔW = α/r · BA. [default: {DefaultAlpha}]"));

    private readonly Option<string?> _init = ValueOptions.ChoiceOrNone(
        "--init",
        "How DeLoRA starts, both with ΔW = 0: residual (the paper's; B is random and its initial branch is subtracted, so that ΔW grows smoothly; "
        + "computed and saved with twice the rank and twice λ, and the bound is twice as large) or zeros (PEFT's; B is 0, but every update has a "
        + "length that λ sets, and the first step goes there at once: with λ = 15 a small model's loss jumps; a small --lambda or "
        + "--lambda-warmup keeps it short). [default: residual]",
        Residual, Zeros);

    private readonly Option<ModuleSelector?> _targets = ValueOptions.Modules(
        "--targets",
        "Which layers: names or their ends, with commas between (q_proj,v_proj); all-linear; or re: and a Python regular expression of whole "
        + "names. [default: that of the model's family]");

    private readonly Option<double> _dropout = ValueOptions.Share("--dropout", "Dropout of what goes into the adapter.", 0);

    private readonly Option<string?> _config = ValueOptions.PathAsGiven(
        "--config", "FILE",
        "Take the adapter from an adapter_config.json instead of --method, --rank, --lambda, --alpha, --targets and --dropout: with every field of PEFT's, "
        + "such as bias, modules_to_save, rank_pattern, layers_to_transform.");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[.. InFile, _init, _config])
            command.Add(option);
    }

    /// <summary>The options that say what a configuration file says as well.</summary>
    private Option[] InFile => [_method, _rank, _lambda, _alpha, _targets, _dropout];

    /// <summary>Whether a file says what the adapter is.</summary>
    public bool IsFromFile(ParseResult parsed) => parsed.GetValue(_config) is not null;

    /// <summary>The adapter that the options describe.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="warn">Hears of what a configuration file has without effect.</param>
    /// <exception cref="InputException">An option of the other method was given, or one beside a file that says it.</exception>
    /// <exception cref="Core.DeloraFormatException">The configuration file is missing or wrong.</exception>
    public AdapterConfig Read(ParseResult parsed, Action<string>? warn)
    {
        if (parsed.GetValue(_config) is { } file)
            return Read(parsed, file, warn);
        bool delora = parsed.GetRequiredValue(_method) == Delora;
        if (Given(parsed, delora ? [_alpha] : [_lambda, _init]) is { } wrong)
            throw new InputException($"{wrong.Name} belongs to --method {(delora ? Lora : Delora)}");
        AdapterConfig config = delora
            ? new DeloraConfig
            {
                DeloraLambda = parsed.GetValue(_lambda) ?? DefaultLambda,
                ResidualInitialization = parsed.GetValue(_init) is null or Residual,
                ModuleDropout = parsed.GetRequiredValue(_dropout),
            }
            : new LoraConfig { LoraAlpha = parsed.GetValue(_alpha) ?? DefaultAlpha, LoraDropout = parsed.GetRequiredValue(_dropout) };
        return config with
        {
            Source = "adapter",
            R = parsed.GetRequiredValue(_rank),
            TargetModules = parsed.GetValue(_targets),
        };
    }

    private AdapterConfig Read(ParseResult parsed, string file, Action<string>? warn)
    {
        if (Given(parsed, InFile) is { } both)
            throw new InputException($"{both.Name}: --config says what the adapter is; give one of them");
        // A saved adapter's file says that it is not trained.
        AdapterConfig config = AdapterConfig.Load(file, warn) with { InferenceMode = false };
        string? init = parsed.GetValue(_init);
        if (config is DeloraConfig delora)
            return delora with { ResidualInitialization = init is null ? delora.InitWeights : init == Residual };
        return init is null ? config : throw new InputException($"{_init.Name} belongs to --method {Delora}; {file} is of another");
    }

    private static Option? Given(ParseResult parsed, Option[] options) =>
        options.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false });
}
