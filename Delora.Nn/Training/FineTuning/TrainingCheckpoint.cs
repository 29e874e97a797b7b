using System.Globalization;
using System.Text;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Everything that a training run needs to go on as if nothing had happened: the trained parameters, the optimizer's memory, the number of
/// the step (from which schedule and place in the data follow) and the random numbers' state; beside them the adapter as PEFT reads it.
/// </summary>
/// <remarks>
/// <code>
/// OUT/checkpoint-000200/adapter_config.json, adapter_model.safetensors    the adapter, for use
/// OUT/checkpoint-000200/training_state.safetensors                        parameters and optimizer, bit by bit
/// OUT/checkpoint-000200/training_state.json                               step, random state, settings; written last
/// </code>
/// A checkpoint is written to a folder with another name, which is renamed when it is complete: a run that is killed at any moment leaves
/// the checkpoints before it as they were.
/// </remarks>
public sealed class TrainingCheckpoint
{
    private const string Prefix = "checkpoint-", StateName = "training_state.json", TensorsName = "training_state.safetensors";
    private const string ParameterPrefix = "parameter.", OptimizerPrefix = "optimizer.";
    private const int Format = 1;

    private TrainingCheckpoint(string folder, int step, long optimizerStep, GeneratorState random, IReadOnlyDictionary<string, string> settings)
    {
        (Folder, Step, OptimizerStep, Random, Settings) = (folder, step, optimizerStep, random, settings);
    }

    /// <summary>The checkpoint's folder.</summary>
    public string Folder { get; }

    /// <summary>Steps of the run, those included that were left out because a number was not finite.</summary>
    public int Step { get; }

    /// <summary>Steps that the optimizer took.</summary>
    public long OptimizerStep { get; }

    /// <summary>State of the random numbers after the step.</summary>
    public GeneratorState Random { get; }

    /// <summary>What the run was started with; one that resumes must agree.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; }

    /// <summary>Whether a checkpoint's folder has such a name.</summary>
    /// <param name="name">A name without a path.</param>
    public static bool IsNameOf(string name) => StepOf(name) > 0;

    /// <summary>The first folder in a run's folder that has a checkpoint's name, whoever made it; null where there is none.</summary>
    internal static string? FirstNameIn(string output) =>
        Directory.Exists(output)
            ? Directory.GetDirectories(output).Select(path => Path.GetFileName(path)).Where(IsNameOf).Order(StringComparer.Ordinal).FirstOrDefault()
            : null;

    /// <summary>Writes a checkpoint, and then removes the oldest beyond <paramref name="keep"/>.</summary>
    /// <param name="output">The run's folder, which exists.</param>
    /// <param name="step">Steps taken, at least 1.</param>
    /// <param name="model">The adapters.</param>
    /// <param name="optimizer">Holds the trained parameters' memory.</param>
    /// <param name="random">State of the random numbers.</param>
    /// <param name="settings">What the run was started with.</param>
    /// <param name="keep">Checkpoints to keep, at least 1.</param>
    /// <exception cref="DeloraException">The system refused, or the name is taken; earlier checkpoints are as they were.</exception>
    internal static void Save(
        string output, int step, PeftModel model, Optimizer optimizer, GeneratorState random, IReadOnlyDictionary<string, string> settings,
        int keep)
    {
        string folder = Path.Combine(output, FolderName(step));
        string temporary = Path.Combine(output, $".{FolderName(step)}.{Path.GetRandomFileName()}.tmp");
        try
        {
            // A run that was resumed comes to steps that were saved before; what it saved there is the same, unless it was damaged since.
            if (TryOpen(folder, step, null) is null)
            {
                if (Directory.Exists(folder) && !IsOurs(folder))
                    throw new DeloraException($"{folder}: is there already, and is no checkpoint of this program.");
                TryDelete(folder);
                Directory.CreateDirectory(temporary);
                model.Save(temporary);
                SafetensorsFile.Write(Path.Combine(temporary, TensorsName), Tensors(model, optimizer));
                WriteState(Path.Combine(temporary, StateName), step, optimizer.StepCount, random, settings);
                Directory.Move(temporary, folder);
            }
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (error is IOException or UnauthorizedAccessException)
                throw new DeloraException($"{folder}: the checkpoint could not be written: {error.Message}", error);
            throw;
        }
        // One that cannot be removed takes room, and nothing else.
        foreach ((string old, _) in FoldersIn(output).Where(found => found.Step <= step).SkipLast(keep)) TryDelete(old);
    }

    /// <summary>
    /// The newest checkpoint of a run that can be read; null where there is none. What a killed run left unfinished is removed.
    /// </summary>
    /// <param name="output">The run's folder.</param>
    /// <param name="warn">Hears of checkpoints that are damaged and passed over.</param>
    public static TrainingCheckpoint? FindLatest(string output, Action<string>? warn = null)
    {
        if (!Directory.Exists(output)) return null;
        foreach (string unfinished in Directory.GetDirectories(output, $".{Prefix}*.tmp")) TryDelete(unfinished);
        foreach (string unfinished in Directory.GetFiles(output, ".adapter_*.tmp")) FolderFile.TryDelete(unfinished);
        return FoldersIn(output).Reverse().Select(found => TryOpen(found.Path, found.Step, warn)).FirstOrDefault(found => found is not null);
    }

    /// <summary>Refuses to go on with other settings than the run was started with.</summary>
    /// <exception cref="DeloraFormatException">They differ; lists the differences.</exception>
    public void CheckSettings(IReadOnlyDictionary<string, string> settings)
    {
        string[] differences = [.. settings.Keys.Union(Settings.Keys).Order(StringComparer.Ordinal)
            .Where(key => settings.GetValueOrDefault(key) != Settings.GetValueOrDefault(key))
            .Select(key => $"{key} was {Settings.GetValueOrDefault(key, "not set")}, is {settings.GetValueOrDefault(key, "not set")}")];
        if (differences.Length > 0)
            throw new DeloraFormatException(Folder, null, $"belongs to a run with other settings: {string.Join("; ", differences)}.");
    }

    /// <summary>Puts parameters and optimizer into the saved state. Everything is checked before anything changes.</summary>
    /// <exception cref="DeloraFormatException">A tensor is missing, not known here, or of another shape.</exception>
    internal void Restore(PeftModel model, Optimizer optimizer)
    {
        string path = Path.Combine(Folder, TensorsName);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        using var scope = new TensorScope("restore checkpoint");
        Dictionary<string, Tensor> state = [];
        List<(Tensor Parameter, Tensor Saved)> parameters = [];
        HashSet<string> known = [];
        foreach ((string name, Autograd.Parameter parameter) in model.TrainableParameters())
        {
            string key = ParameterPrefix + name;
            if (file[key].Shape != parameter.Shape)
                throw new DeloraFormatException(path, key, $"is {file[key].Shape}; the model needs {parameter.Shape}.");
            parameters.Add((parameter.Value, file.ReadFloat(key, parameter.Value.Device)));
            known.Add(key);
        }
        foreach (string key in file.Entries.Select(entry => entry.Name).Where(key => !known.Contains(key)))
            state.Add(
                key.StartsWith(OptimizerPrefix, StringComparison.Ordinal)
                    ? key[OptimizerPrefix.Length..]
                    : throw new DeloraFormatException(path, key, "is no parameter that this run trains."),
                file.ReadFloat(key, optimizer.Gradients[0].Device));
        optimizer.LoadState(state, OptimizerStep, path);
        foreach ((Tensor parameter, Tensor saved) in parameters) parameter.CopyFrom(saved);
    }

    /// <summary>A checkpoint whose files are whole; null where it is not there or damaged.</summary>
    private static TrainingCheckpoint? TryOpen(string folder, int step, Action<string>? warn)
    {
        if (!Directory.Exists(folder)) return null;
        try
        {
            TrainingCheckpoint checkpoint = Read(folder, step);
            // Opening compares the file's length with what its header says.
            SafetensorsFile.Open(Path.Combine(folder, TensorsName)).Dispose();
            return checkpoint;
        }
        catch (DeloraFormatException error)
        {
            warn?.Invoke($"{folder} is passed over: {error.Message}");
            return null;
        }
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Tensors(PeftModel model, Optimizer optimizer) =>
        model.TrainableParameters().Select(entry => KeyValuePair.Create(ParameterPrefix + entry.Name, entry.Parameter.Value))
            .Concat(optimizer.State.Select(entry => KeyValuePair.Create(OptimizerPrefix + entry.Name, entry.Tensor)));

    private static void WriteState(string path, int step, long optimizerStep, GeneratorState random, IReadOnlyDictionary<string, string> settings)
    {
        byte[] json = Encoding.UTF8.GetBytes(PythonJson.Write(new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["format"] = Format,
            ["step"] = step,
            ["optimizer_step"] = optimizerStep,
            // As texts: a JSON number does not hold 64 bits everywhere.
            ["random_seed"] = random.Seed.ToString(CultureInfo.InvariantCulture),
            ["random_offset"] = random.Offset.ToString(CultureInfo.InvariantCulture),
            ["settings"] = settings.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(pair.Key, (object)pair.Value)),
        }));
        AtomicFile.Write(path, stream => stream.Write(json));
    }

    private static TrainingCheckpoint Read(string folder, int step)
    {
        JsonFields fields = JsonFields.Load(Path.Combine(folder, StateName));
        int format = fields.Integer("format", 0);
        // Not damaged: it must neither be passed over nor replaced.
        if (format > Format) throw new DeloraException($"{folder}: was written by a later version (format {format}; this one reads {Format}).");
        if (format < Format) throw fields.Wrong("format", $"is {format}; this version reads {Format}.");
        if (fields.Integer("step", -1) is var saved && saved != step) throw fields.Wrong("step", $"is {saved}, which is not the folder's number.");
        var random = new GeneratorState(Number("random_seed"), Number("random_offset"));
        JsonFields inner = fields.Object("settings") ?? throw fields.Wrong("settings", "is missing.");
        long optimizerStep = fields.Integer("optimizer_step", -1);
        if (optimizerStep < 0 || optimizerStep > step) throw fields.Wrong("optimizer_step", $"must be from 0 to {step}, not {optimizerStep}.");
        Dictionary<string, string> values = inner.Left.Keys.ToArray().ToDictionary(key => key, key => inner.Text(key, ""));
        return new TrainingCheckpoint(folder, step, optimizerStep, random, values);

        ulong Number(string field) =>
            ulong.TryParse(fields.Text(field, null), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
                ? value
                : throw fields.Wrong(field, "must be a text with a whole number.");
    }

    /// <summary>The checkpoints of a run, oldest first.</summary>
    private static IReadOnlyList<(string Path, int Step)> FoldersIn(string output) =>
        [.. Directory.GetDirectories(output, $"{Prefix}*")
            .Select(path => (Path: path, Step: StepOf(Path.GetFileName(path))))
            .Where(found => found.Step > 0 && IsOurs(found.Path))
            .OrderBy(found => found.Step)];

    private static int StepOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal)
        && int.TryParse(name[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int step)
            ? step
            : -1;

    /// <summary>Others write folders of such names too, which are not this run's to remove.</summary>
    private static bool IsOurs(string folder) => File.Exists(Path.Combine(folder, StateName)) || File.Exists(Path.Combine(folder, TensorsName));

    private static string FolderName(int step) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D6}");

    private static void TryDelete(string folder)
    {
        try
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What remains has a name that no run looks at.
        }
    }
}
