using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A callback of a <see cref="Trainer{TBatch}"/> that moves parameters behind each optimizer step, as part of that step: on the device, so that nobody waits,
/// and a CUDA card can record it.
/// </summary>
internal interface IStepPart
{
    /// <summary>Whether it has anything to do behind a step.</summary>
    /// <param name="step">Number of the step, from 1.</param>
    bool ActsAfter(int step);

    /// <summary>Asks the device for it.</summary>
    /// <param name="step">
    /// The number of the step; in recorded work asked again before each replay. What depends on it must be fed, not launched otherwise.
    /// </param>
    /// <param name="gate">The device leaves it out where this number [1] is not 0; null where it does not.</param>
    void AfterStep(Func<int> step, Tensor? gate);
}
