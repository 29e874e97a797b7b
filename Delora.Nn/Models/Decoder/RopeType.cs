namespace Delora.Nn;

/// <summary><c>rope_type</c>: how the rotary frequencies are stretched.</summary>
public enum RopeType
{
    /// <summary><c>default</c>: not at all.</summary>
    Default,

    /// <summary><c>linear</c>: all by one factor, which is position interpolation (Chen et al., arXiv 2306.15595).</summary>
    Linear,

    /// <summary><c>llama3</c>: the slow ones by a factor, the fast ones not at all, those between smoothly (Llama 3.1).</summary>
    Llama3,

    /// <summary><c>yarn</c>: as llama3 with a ramp over the numbers of the frequencies, and sharper attention (Peng et al., arXiv 2309.00071).</summary>
    Yarn,
}
