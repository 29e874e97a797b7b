using System.Collections.Concurrent;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>Whether kernels for which there is a plainer one are relied on.</summary>
internal enum TrialMode
{
    /// <summary>Where they pass a trial on the card; else the plainer one is taken, and <see cref="GpuDevice.Fallbacks"/> says so.</summary>
    Tried,

    /// <summary>Where they pass a trial; else it is an error.</summary>
    Strict,

    /// <summary>Never.</summary>
    Off,
}

/// <summary>
/// Trials of kernels: a small piece of work whose result is known is done before a kernel's first use, so that an error of the driver's assembler or of
/// this code becomes a warning, not a wrong result.
/// </summary>
public sealed partial class GpuDevice
{
    /// <summary>The environment variable that says what becomes of products by warpgroups: <c>try</c>, which is also meant where it is not set,
    /// <c>strict</c> or <c>off</c>.</summary>
    internal const string WarpgroupVariable = "DELORA_WARPGROUPS";

    private readonly ConcurrentDictionary<object, Lazy<bool>> _trials = [];
    private readonly ConcurrentQueue<string> _fallbacks = [];

    /// <summary>What the device computes in a slower way than it was meant to, because the other failed its trial on this card, and how.</summary>
    public IReadOnlyList<string> Fallbacks => [.. _fallbacks];

    /// <summary>Whether products by warpgroups are relied on.</summary>
    /// <exception cref="DeviceException">The environment asks for something else than the three.</exception>
    internal TrialMode Warpgroups { get; set; } = ModeOf(Environment.GetEnvironmentVariable(WarpgroupVariable));

    /// <summary>How long a trial may take, with what was asked of the device before. It is over in milliseconds; what is not done then never will be.</summary>
    internal TimeSpan TrialPatience { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>What the environment asks for.</summary>
    internal static TrialMode ModeOf(string? word) => word switch
    {
        null or "" or "try" => TrialMode.Tried,
        "strict" => TrialMode.Strict,
        "off" => TrialMode.Off,
        _ => throw new DeviceException($"{WarpgroupVariable} is '{word}'; known are try, strict and off"),
    };

    /// <summary>Whether a kind of kernel passes its trial, which is made at its first use.</summary>
    /// <param name="key">What kind; its text is what messages call it.</param>
    /// <param name="mode">What becomes of one that fails.</param>
    /// <param name="trial">Gives what is wrong with the result, null for nothing. It waits for the device with <see cref="WaitPatiently"/> alone.</param>
    /// <exception cref="DeviceException">It failed and must not (<see cref="TrialMode.Strict"/>), or the card computes nothing more after it.</exception>
    internal bool PassesTrial(object key, TrialMode mode, Func<string?> trial)
    {
        if (mode == TrialMode.Off) return false;
        if (IsPlanning) return true;
        // In a recording nothing can be tried, and nobody waited for: another thread's trial may wait for the recording's end.
        if (_trials.TryGetValue(key, out Lazy<bool>? made) && made.IsValueCreated) return made.Value;
        bool passes = false;
        string name = key.ToString()!;
        GpuGraph.Aside($"{name} must be tried first", () => passes = IsGood(key, name, mode, trial));
        return passes;
    }

    /// <summary>What the trial says that was made, or is made now.</summary>
    private bool IsGood(object key, string name, TrialMode mode, Func<string?> trial)
    {
        Lazy<bool> made = _trials.GetOrAdd(key, _ => new(() => Try(name, mode, trial)));
        try
        {
            return made.Value;
        }
        catch (DeviceMemoryException)
        {
            // Says nothing of the kernel: it is tried again where there is memory. A Lazy would keep the error.
            _trials.TryRemove(new KeyValuePair<object, Lazy<bool>>(key, made));
            throw;
        }
    }

    /// <summary>Waits for what was asked of the device, but not for ever.</summary>
    /// <exception cref="DeviceException">It has failed, or is not done in time.</exception>
    internal void WaitPatiently()
    {
        long until = Environment.TickCount64 + (long)TrialPatience.TotalMilliseconds;
        Guarded("waiting for a trial", () =>
        {
            IPtxEvent place = RecordEvent();
            while (!place.HasPassed)
            {
                if (Environment.TickCount64 >= until) throw new TimeoutException($"it is not done after {TrialPatience.TotalSeconds} s");
                Thread.Yield();
            }
            ReleaseEvent(place);
        });
    }

    private bool Try(string name, TrialMode mode, Func<string?> trial)
    {
        string? wrong;
        try
        {
            wrong = trial();
        }
        catch (DeviceException error)
        {
            wrong = error.Message;
            if (!AnswersAfter(error))
                throw new DeviceException(
                    $"{Name}: {name} failed its trial, and the card computes nothing more in this process: {wrong}. {WarpgroupVariable}=off does without.",
                    error);
        }
        if (wrong is null) return true;
        string fallback = $"{name} failed its trial on {Name}: {wrong}";
        if (mode == TrialMode.Strict) throw new DeviceException(fallback);
        _fallbacks.Enqueue($"{fallback}. Another kernel does its work, more slowly.");
        return false;
    }

    /// <summary>Whether the card still computes. Where patience has run out once, it is not asked again.</summary>
    private bool AnswersAfter(DeviceException error)
    {
        if (error.InnerException is TimeoutException) return false;
        try
        {
            WaitPatiently();
            return true;
        }
        catch (DeviceException)
        {
            return false;
        }
    }
}
