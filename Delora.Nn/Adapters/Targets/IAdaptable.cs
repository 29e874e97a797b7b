namespace Delora.Nn;

/// <summary>A base model that says which of its modules adapters should know of.</summary>
public interface IAdaptable
{
    /// <summary>The family's default targets and its output layer.</summary>
    TargetOptions Targets { get; }
}
