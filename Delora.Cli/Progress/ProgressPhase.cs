using System.Globalization;
using Delora.Nn;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>One step of a training run, as progress is told.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="Loss">Loss of this step.</param>
/// <param name="LearningRate">Learning rate of this step.</param>
/// <param name="Samples">Samples seen since the run began.</param>
/// <param name="Elapsed">Time since the run began; null for the time since the phase was made.</param>
internal readonly record struct StepProgress(int Step, double Loss, double LearningRate, long Samples, TimeSpan? Elapsed = null);

/// <summary>
/// Shows one training run while it goes on: a line drawn again in place on a terminal, else a plain line at the first step and then every
/// few seconds. Disposing it ends the line and states the whole, also of a run that was broken off.
/// </summary>
internal sealed class ProgressPhase : IProgress<StepProgress>, IProgress<TrainingProgress>, IDisposable
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(100), PlainInterval = TimeSpan.FromSeconds(5);
    private const int BarWidth = 24;

    private readonly CliConsole _console;
    private readonly string _name, _unit;
    private readonly int _steps;
    private readonly long _start;
    private long _shown;
    private int _before;
    private StepProgress _last;
    private bool _disposed;

    /// <param name="console">Where to write.</param>
    /// <param name="name">What is trained, for instance <c>DeLoRA, seed 2 of 3</c>.</param>
    /// <param name="steps">Steps in all.</param>
    /// <param name="unit">What a sample is called.</param>
    public ProgressPhase(CliConsole console, string name, int steps, string unit = "samples")
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        (_console, _name, _steps, _unit) = (console, name, steps, unit);
        _start = console.Time.GetTimestamp();
    }

    /// <summary>Takes the news of a step; cheap when nothing is due to be shown.</summary>
    public void Report(StepProgress value)
    {
        bool first = _last.Step == 0;
        // A run that goes on after an interruption begins at a later step than the first.
        if (first)
            _before = value.Step - 1;
        _last = value;
        if (!first && _console.Time.GetElapsedTime(_shown) < (_console.IsLive ? LiveInterval : PlainInterval))
            return;
        _shown = _console.Time.GetTimestamp();
        if (_console.IsLive)
            Redraw();
        else
            _console.Output.WriteLine($"{_name}: {Numbers()}");
    }

    /// <inheritdoc/>
    public void Report(TrainingProgress value) =>
        Report(new StepProgress(value.Step, value.Loss, value.LearningRate, value.Samples, value.Elapsed));

    /// <summary>Writes a line that stays; the progress goes on below it.</summary>
    public void WriteLine(string line)
    {
        Clear();
        _console.Output.WriteLine($"{_name}: {line}");
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        Clear();
        if (_last.Step == 0)
            return;
        string steps =
            _last.Step < _steps ? $"stopped after {_last.Step} of {_steps} steps"
            : _before == 0 ? $"{_steps} steps" : $"steps {_before + 1} to {_steps}";
        _console.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{_name}: {steps} in {Elapsed.TotalSeconds:F1} s, loss {_last.Loss:F4}, {Rate:N0} {_unit}/s"));
    }

    private TimeSpan Elapsed => _last.Elapsed ?? _console.Time.GetElapsedTime(_start);

    private void Clear()
    {
        if (_console.IsLive)
            _console.Ansi.Write(new ControlCode("\r\e[K"));
    }

    private double Rate => _last.Samples / Math.Max(Elapsed.TotalSeconds, 1e-6);

    private string Numbers()
    {
        TimeSpan left = Elapsed * ((_steps - _last.Step) / (double)(_last.Step - _before));
        int width = _steps.ToString(CultureInfo.InvariantCulture).Length;
        string step = _last.Step.ToString(CultureInfo.InvariantCulture).PadLeft(width);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"step {step}/{_steps}  loss {_last.Loss:F4}  lr {_last.LearningRate:0.00e-0}  {Rate:N0} {_unit}/s  {Clock(left)} left");
    }

    private void Redraw()
    {
        bool unicode = _console.Ansi.Profile.Capabilities.Unicode;
        int done = (int)((long)BarWidth * _last.Step / _steps);
        string bar = new string(unicode ? '━' : '#', done), rest = new(unicode ? '─' : '.', BarWidth - done);

        // One column stays free: a full line would wrap, and the carriage return would come back to the wrong one.
        int space = Math.Max(1, _console.Ansi.Profile.Width - 1);
        List<(string Text, Style Style)> parts =
        [
            ($"{_name} ", Style.Plain), (bar, new Style(Color.Green)), (rest, new Style(Color.Grey)), ($" {Numbers()}", Style.Plain),
        ];
        Clear();
        foreach ((string text, Style style) in parts)
        {
            string shown = text.Length <= space ? text : text[..space];
            space -= shown.Length;
            if (shown.Length > 0)
                _console.Ansi.Write(new Text(shown, style));
        }
    }

    /// <summary>Minutes and seconds, <c>1:05</c>; hours before them where there are any.</summary>
    internal static string Clock(TimeSpan time)
    {
        long seconds = (long)Math.Ceiling(Math.Min(Math.Max(time.TotalSeconds, 0), 359_999_999));
        return seconds < 3600
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}:{seconds % 60:D2}")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}:{seconds / 60 % 60:D2}:{seconds % 60:D2}");
    }
}
